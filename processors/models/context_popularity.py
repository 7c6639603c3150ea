"""What people choose who come in the same circumstances: from a country, on a device, by a channel, to a page.

It is what can be said of a user before there is any history. The users plane tells what some users chose and in which
context; the models plane counts, within bounds, and broadcasts the most chosen items of each context now and then.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import msgspec

from processors.common.bounded_counter import add_bounded, rarest
from processors.common.bounds import MAX_ID_CHARACTERS, Listed, Positive
from processors.events.event import Event
from processors.users.context import FIELDS, MAX_NAME_CHARACTERS, names_of, remember

CONTEXTS = "contexts"
"""Key of the contexts' view on the topic of models."""


TOLD = 2
"""Users per micro-batch whose choice is told, at most: bounds the cost under load."""

TOLD_BYTES = TOLD * len(FIELDS) * 4 * (MAX_NAME_CHARACTERS + MAX_ID_CHARACTERS + 10)
"""Bytes of choices in a message, at most."""


class ContextsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How choices are counted by context.

    Parameters
    ----------
    contexts
        Contexts told apart of each field, such as countries; beyond that the one with the fewest choices goes. Fields
        do not push out each other's: there may be a page for each item.
    items
        Items counted in each; the rarest goes first.
    published_items
        The most chosen of them that are broadcast.
    fewest_choices
        An item is broadcast if it was chosen at least so often: one visitor is no trend.
    fading_choices
        After so many choices in a context all its counts are halved.
    published_every
        Choices between two broadcasts.
    """

    contexts: Positive = 12
    items: Positive = 30
    published_items: Listed = 20
    fewest_choices: Positive = 3
    fading_choices: Positive = 500
    published_every: Positive = 32


class ChosenIn(msgspec.Struct, array_like=True, frozen=True):
    """Contexts, such as ``country:DE``, and the item that somebody chose in each."""

    contexts: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    def check(self) -> None:
        """Make sure that the columns fit together and hold what they can.

        Raises
        ------
        ValueError
            If they do not.

        Examples
        --------
        >>> ChosenIn(("country:DE",), ()).check()
        Traceback (most recent call last):
        ...
        ValueError: contexts: 1 of them with 0 items, expected as many
        """
        if len(self.contexts) != len(self.items):
            raise ValueError(f"contexts: {len(self.contexts)} of them with {len(self.items)} items, expected as many")
        if len(self.contexts) > TOLD * len(FIELDS):
            raise ValueError(f"contexts: {len(self.contexts)} of them, expected at most {TOLD * len(FIELDS)}")
        for item in self.items:
            if not 0 < len(item) <= MAX_ID_CHARACTERS:
                raise ValueError(f"contexts: an item id of {len(item)} characters, expected 1 to {MAX_ID_CHARACTERS}")
        for name in self.contexts:
            if name.partition(":")[0] not in FIELDS or len(name) > MAX_NAME_CHARACTERS:
                raise ValueError(f"contexts: {name[:80]!r}, expected a short value of one of {', '.join(FIELDS)}")


class ContextCounts(msgspec.Struct, array_like=True):
    """Decayed choices in one context: all of them, and by item."""

    choices: float = 0.0
    items: dict[str, float] = msgspec.field(default_factory=dict)


class ContextsState(msgspec.Struct, array_like=True):
    """Counts by context, and how many choices were learned and published."""

    counts: dict[str, ContextCounts] = msgspec.field(default_factory=dict)
    learned: int = 0
    published: int = 0


class ContextView(msgspec.Struct, array_like=True, frozen=True):
    """Items most chosen in a context, and how often relative to the first of them."""

    items: tuple[str, ...]
    weights: tuple[float, ...]


class ContextLearner:
    """Counts choices by context.

    Examples
    --------
    >>> keeper, state = ContextLearner(ContextsSettings(fewest_choices=1)), ContextsState()
    >>> keeper.learn(state, ChosenIn(("country:DE", "device:phone"), ("tent", "tent")))
    >>> keeper.learn(state, ChosenIn(("country:DE",), ("lamp",)))
    >>> keeper.view(state)["country:DE"]
    ContextView(items=('lamp', 'tent'), weights=(1.0, 1.0))
    """

    def __init__(self, settings: ContextsSettings) -> None:
        self._settings = settings

    def learn(self, state: ContextsState, chosen: ChosenIn) -> None:
        """Count choices, in place. Constant time for each."""
        settings = self._settings
        for name, item in zip(chosen.contexts, chosen.items, strict=True):
            counts = state.counts.setdefault(name, ContextCounts())
            add_bounded(counts.items, item, 1.0, settings.items, renew=True)
            counts.choices += 1.0
            if counts.choices >= settings.fading_choices:
                counts.choices /= 2.0
                counts.items = {name: count / 2.0 for name, count in counts.items.items()}
            state.learned += 1
            self._bound(state, name)

    def _bound(self, state: ContextsState, newest: str) -> None:
        field = newest.partition(":")[0] + ":"
        rivals = [name for name in state.counts if name.startswith(field)]
        if len(rivals) > self._settings.contexts:
            del state.counts[rarest(rivals, newest, lambda name: state.counts[name].choices)]

    def due(self, state: ContextsState) -> bool:
        """Whether enough was learned since the last broadcast; if so, the next one counts from now."""
        if state.learned - state.published < self._settings.published_every:
            return False
        state.published = state.learned
        return True

    def view(self, state: ContextsState) -> dict[str, ContextView]:
        """What is published, by context."""
        views = {name: self._view_of(counts) for name, counts in sorted(state.counts.items())}
        return {name: view for name, view in views.items() if view.items}

    def _view_of(self, counts: ContextCounts) -> ContextView:
        enough = [entry for entry in counts.items.items() if entry[1] >= self._settings.fewest_choices]
        best = sorted(enough, key=lambda entry: (-entry[1], entry[0]))[: self._settings.published_items]
        return ContextView(tuple(name for name, _ in best), tuple(count / best[0][1] for _, count in best))


class ContextPopularity:
    """The read model of contexts.

    Attributes
    ----------
    views : dict of str to ContextView
        As last published.
    names : list of str
        The contexts, for numbers to stand for.
    """

    def __init__(self) -> None:
        self.apply({})

    def apply(self, views: Mapping[str, ContextView]) -> None:
        """Take over what was published; none forgets all contexts."""
        self.views = dict(views)
        self.names = sorted(self.views)


def chosen_in(
    contexts_before: Sequence[Mapping[str, str]], items_before: Sequence[Container[str]], events: Sequence[Event]
) -> ChosenIn:
    """What the next events of some users tell of their contexts; of :data:`TOLD` users with any, at most.

    Somebody's return to an item is no further choice: one visitor's habit is no trend.

    Parameters
    ----------
    contexts_before, items_before
        What was known of each user's circumstances, and the items of the user.
    """
    contexts, items, told = list[str](), list[str](), 0
    for before, touched, event in zip(contexts_before, items_before, events, strict=True):
        tells = before or event.context is not None or event.channel
        if tells and event.item_id not in touched:
            known = dict(before)
            remember(known, event.context, event.channel)
            names = names_of(known)
            contexts += names
            items += [event.item_id] * len(names)
            told += 1
            if told == TOLD:
                break
    return ChosenIn(tuple(contexts), tuple(items))


def decode_contexts(value: bytes | None) -> dict[str, ContextView]:
    """Views of a broadcast record's value; a tombstone gives none."""
    return {} if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(dict[str, ContextView])
