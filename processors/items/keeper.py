"""How touches, pairs and rows of the catalogue are folded into item states, and which view of them is published."""

import math
from collections.abc import Iterable

import numpy as np

from processors.common.bounds import MAX_STEPS
from processors.common.decay import growth, landmark_at, rebase
from processors.items.signals import Touch
from processors.items.state import ItemSettings, ItemState, Published
from processors.items.view import NO_ENTRIES, Attributes, ItemView, Listing
from processors.items.voices import Voices, newcomers_share, voice_of_fact, voted


class ItemKeeper:
    """Folds touches, pairs and rows of the catalogue into item states.

    Parameters
    ----------
    settings
        Bounds and half-lives.

    Examples
    --------
    >>> keeper = ItemKeeper(ItemSettings())
    >>> state = ItemState()
    >>> keeper.touch(state, Touch(item=0, time_ms=1_700_000_000_000, weight=1.0, category="tents"))
    >>> keeper.pairs([(state, "lamp", 1, 1_700_000_000_000, 1), (state, "stove", 2, 1_700_000_000_000, 1)])
    >>> view = keeper.view(state)
    >>> view.neighbours, np.frombuffer(view.together, "<f4").round(3).tolist()
    (['lamp', 'stove'], [0.6430000066757202, 0.3569999933242798])
    """

    def __init__(self, settings: ItemSettings) -> None:
        self.settings = settings
        self._voices = Voices(settings.voices)
        self._of_distance = [max(1, steps) ** -settings.distance_power for steps in range(MAX_STEPS + 1)]

    def touch(self, state: ItemState, touch: Touch) -> None:
        """Count a visit, and weigh what its event says of the item against what others said, in place.

        A purchase that was taken back is one less. Its visit took place all the same.
        """
        if touch.returned:
            state.purchases, state.published.outdated = max(0, state.purchases - 1), True
            state.first_seen = state.first_seen or touch.time_ms
            state.last_seen = state.last_seen or touch.time_ms
            return
        voice, has_past = self._voices.of(touch.nth), touch.nth > 0
        trends = state.trends if has_past else state.newcomers_trends
        for scale, half_life in enumerate(self.settings.trend_half_lives_ms):
            landmark, before = landmark_at(touch.time_ms, half_life), state.trend_landmarks[scale]
            if landmark > before:
                factor = rebase(before, landmark, half_life)
                state.trends[scale] *= factor
                state.newcomers_trends[scale] *= factor
                state.trend_landmarks[scale] = before = landmark
                if scale == ENTRY_SCALE:
                    state.entries *= factor
                    state.newcomers_entries *= factor
            added = voice * growth(touch.time_ms, before, half_life)
            trends[scale] += added
            if touch.entered and scale == ENTRY_SCALE:
                if has_past:
                    state.entries += added
                else:
                    state.newcomers_entries += added
        self._count(state, voice, has_past=has_past)
        state.purchases += touch.purchased
        state.first_seen = min(state.first_seen or touch.time_ms, touch.time_ms)
        state.last_seen = max(state.last_seen, touch.time_ms)
        facts, votes, said = (state.category, state.brand, state.price), state.votes, voice_of_fact(voice, touch.nth)
        state.category, votes.category = voted(state.category, touch.category, votes.category, said)
        state.brand, votes.brand = voted(state.brand, touch.brand, votes.brand, said)
        state.price, votes.price = voted(state.price, touch.price, votes.price, said)
        if facts != (state.category, state.brand, state.price):
            state.published.outdated = True

    def pairs(self, pairs: Iterable[tuple[ItemState, str, int, int, int]]) -> None:
        """Count that items were visited in the same session, in place.

        The pairs of one event have one time, and nearly all states one landmark: weights are computed once for each
        run of pairs that share both.

        Parameters
        ----------
        pairs
            For each pair: the state of an item; the id of the other one; the steps from the item to the other one in
            the session, negative if the other came earlier; when the later of the two was visited, milliseconds since
            the epoch; how often its user has visited that one (:attr:`processors.items.signals.Touch.nth`).
        """
        settings, of_distance = self.settings, self._of_distance
        half_life, most = settings.neighbour_half_life_ms, settings.neighbours * 3 // 2
        known, landmark, weight = (-1, -1, 0), 0, 0.0
        for state, other, distance, time_ms, nth in pairs:
            if known != (time_ms, state.landmark, nth):
                landmark = landmark_at(time_ms, half_life)
                if landmark > state.landmark:
                    self._rebase(state, landmark)
                known = time_ms, state.landmark, nth
                weight = self._voices.of(nth) * growth(time_ms, state.landmark, half_life)
            steps, together = abs(distance), state.together
            added = weight * of_distance[steps]
            if nth < 0:
                # The weight of a visit now is the unit of what is known of the pair.
                known_visits = together.get(other, 0.0) / growth(time_ms, state.landmark, half_life)
                added *= newcomers_share(known_visits)
            # A state from before the sum was kept begins with what it has.
            state.mass = (state.mass or sum(together.values())) + added
            together[other] = together.get(other, 0.0) + added
            state.published.added += added
            if 0 < distance <= settings.next_distance:
                state.after[other] = state.after.get(other, 0.0) + weight / steps
            if len(together) > most:
                self._cut(state)

    def describe(self, state: ItemState, attributes: Attributes | None, time_ms: int) -> None:
        """Replace the item's row of the catalogue, in place.

        Parameters
        ----------
        state
            State of the item.
        attributes
            The new row; :obj:`None` withdraws the item until the next row.
        time_ms
            When the row was appended, milliseconds since the epoch.
        """
        state.attributes, state.withdrawn = attributes, attributes is None
        state.published.outdated = True
        if attributes is None:
            state.listed_ms = 0
        elif not state.listed_ms:
            state.listed_ms = time_ms

    def due(self, state: ItemState, at_ms: int) -> bool:
        """Tell whether an item says something new, so that it is to be published now. Constant time.

        A published item's neighbours can only have changed their order or membership by weight that was added since.

        Parameters
        ----------
        state
            State of the item.
        at_ms
            The present, milliseconds since the epoch.
        """
        last, share = state.published, self.settings.publish_share
        return (
            last.outdated
            or last.added > share * state.mass
            or state.purchases > (1.0 + share) * last.purchases
            or self._visits(state) > (1.0 + share) * last.visits
            or self._trend(state, 0) > last.trend + math.log2(1.0 + share)
            or at_ms - last.at_ms >= self.settings.publish_within_ms
        )

    def note_published(self, state: ItemState, at_ms: int) -> None:
        """Keep, in place, what of a state is published now; ``at_ms`` is the present."""
        state.published = Published(at_ms, self._trend(state, 0), state.purchases, 0.0, False, self._visits(state))

    def view(self, state: ItemState) -> ItemView:
        """Return the item view to publish. Complexity: a look at each neighbour, and a sort of those published."""
        if state.withdrawn:
            return ItemView(
                self._trends(state),
                self._visits(state),
                state.first_seen,
                state.last_seen,
                [],
                b"",
                b"",
                withdrawn=True,
            )
        attributes = state.attributes or _NO_ATTRIBUTES
        together, after = state.together, state.after
        names = _strongest(state, self.settings.published_neighbours)
        return ItemView(
            trends=self._trends(state),
            visits=self._visits(state),
            first_seen=state.first_seen,
            last_seen=state.last_seen,
            neighbours=names,
            together=_shares([together[name] for name in names]),
            after=_shares([after.get(name, 0.0) for name in names]),
            category=state.category if attributes.category is None else attributes.category,
            brand=state.brand if attributes.brand is None else attributes.brand,
            price=state.price if attributes.price is None else attributes.price,
            listing=None if state.attributes is None else _listing(state.attributes),
            since=_since(state, attributes),
            purchases=state.purchases,
            entries=self._entries(state),
        )

    def _entries(self, state: ItemState) -> float:
        """Return the trend of first visits: what those without a past say is bounded by all visits of the others."""
        half_life, landmark = self.settings.trend_half_lives_ms[ENTRY_SCALE], state.trend_landmarks[ENTRY_SCALE]
        entries = state.entries
        if state.newcomers_entries:
            unit = growth(state.last_seen, landmark, half_life)
            entries += self._voices.heard(state.newcomers_entries, state.trends[ENTRY_SCALE], unit)
        return _log2_at_epoch(entries, landmark, half_life) if entries > 0.0 else NO_ENTRIES

    def _trends(self, state: ItemState) -> tuple[float, float, float]:
        return self._trend(state, 0), self._trend(state, 1), self._trend(state, 2)

    def _trend(self, state: ItemState, scale: int) -> float:
        half_life, landmark = self.settings.trend_half_lives_ms[scale], state.trend_landmarks[scale]
        trend, newcomers = state.trends[scale], state.newcomers_trends[scale]
        if newcomers:
            trend = self._voices.sum(trend, newcomers, growth(state.last_seen, landmark, half_life))
        return _log2_at_epoch(trend, landmark, half_life)

    def _visits(self, state: ItemState) -> int:
        """Return what all visits count, rounded up: an item that was visited counts at least as one."""
        return math.ceil(self._voices.sum(state.counted, state.newcomers_counted) - _SLACK)

    @staticmethod
    def _count(state: ItemState, voice: float, *, has_past: bool) -> None:
        """Count a visit, in place. A state of an older release begins with all visits it had."""
        if not state.counted and not state.newcomers_counted:
            state.counted = float(state.visits)
        if has_past:
            state.counted += voice
        else:
            state.newcomers_counted += voice
        state.visits += 1

    def _rebase(self, state: ItemState, landmark: int) -> None:
        factor = rebase(state.landmark, landmark, self.settings.neighbour_half_life_ms)
        state.together = {name: weight * factor for name, weight in state.together.items()}
        state.after = {name: weight * factor for name, weight in state.after.items()}
        state.mass *= factor
        state.published.added *= factor
        state.landmark = landmark

    def _cut(self, state: ItemState) -> None:
        kept = set(_strongest(state, self.settings.neighbours))
        state.together = {name: weight for name, weight in state.together.items() if name in kept}
        state.after = {name: weight for name, weight in state.after.items() if name in kept}
        state.mass = sum(state.together.values())


ENTRY_SCALE = 1
"""Which of the half-lives of trends the visits that begin sessions decay by."""

_NO_ATTRIBUTES = Attributes()

_SLACK = 1e-9
"""Sums of fractions may be a little more than the whole number they stand for."""


def _listing(attributes: Attributes) -> Listing:
    return Listing(
        title=attributes.title,
        supplier=attributes.supplier,
        available=attributes.available,
        margin=attributes.margin,
        min_age=attributes.min_age,
        tags=attributes.tags,
        regions=attributes.regions,
        embedding=attributes.embedding,
    )


def _since(state: ItemState, attributes: Attributes) -> int:
    if attributes.published_ms is not None:
        return max(0, attributes.published_ms)
    return min((moment for moment in (state.first_seen, state.listed_ms) if moment), default=0)


def _strongest(state: ItemState, most: int) -> list[str]:
    """Return the neighbours that weigh most in both weights together, the heaviest first; of equals the last by id."""
    after = state.after.get
    weighed = [(weight + after(name, 0.0), name) for name, weight in state.together.items()]
    n = len(weighed)
    if n > most > 0:
        least = np.partition(np.fromiter((weight for weight, _ in weighed), np.float64, n), n - most)[n - most]
        weighed = [pair for pair in weighed if pair[0] >= least]
    weighed.sort(reverse=True)
    return [name for _, name in weighed[:most]]


def _shares(weights: list[float]) -> bytes:
    # Added up exactly, so that every release of Python finds the same sum.
    total = math.fsum(weights)
    return np.array([weight / total for weight in weights] if total > 0.0 else weights, "<f4").tobytes()


def _log2_at_epoch(weight: float, landmark_ms: int, half_life_ms: int) -> float:
    return (math.log2(weight) if weight > 0.0 else -1e6) + landmark_ms / half_life_ms
