"""What people choose who come in the same circumstances: from a country, on a device, by a channel, to a page.

It is what can be said of a user before there is any history. The users plane sends what some users chose and in which
context; the models plane counts, within bounds, and broadcasts the most chosen items of each context now and then.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import msgspec

from processors.common.bounded_counter import add_bounded, rarest
from processors.common.bounds import MAX_ID_CHARACTERS, Listed, Positive
from processors.events.event import Event
from processors.models.base import ViewDecoder
from processors.users.context import FIELDS, MAX_NAME_CHARACTERS, context_names, update_circumstances

SAMPLED_USERS = 2
"""Users per micro-batch whose choice is counted, at most: bounds the cost under load."""

CHOSEN_BYTES = SAMPLED_USERS * len(FIELDS) * 4 * (MAX_NAME_CHARACTERS + MAX_ID_CHARACTERS + 10)
"""Largest size of choices in a message, in bytes."""


class ContextsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How choices are counted by context.

    Parameters
    ----------
    contexts
        Contexts counted of each field, such as countries; beyond that the one with the fewest choices goes. Fields do
        not push out each other's: there may be a page for each item.
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
        if len(self.contexts) > SAMPLED_USERS * len(FIELDS):
            most = SAMPLED_USERS * len(FIELDS)
            raise ValueError(f"contexts: {len(self.contexts)} of them, expected at most {most}")
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
    """Counts by context; how many choices were learned, and had been at the last broadcast."""

    counts: dict[str, ContextCounts] = msgspec.field(default_factory=dict)
    learned: int = 0
    published: int = 0


class ContextView(msgspec.Struct, array_like=True, frozen=True):
    """Items most chosen in a context, and how often relative to the first of them."""

    items: tuple[str, ...]
    weights: tuple[float, ...]


class ContextLearner:
    """The learned model of contexts: counts of choices (:class:`processors.models.base.LearnedModel`).

    Parameters
    ----------
    settings
        How choices are counted.

    Examples
    --------
    >>> model, state = ContextLearner(ContextsSettings(fewest_choices=1)), ContextsState()
    >>> model.learn(state, ChosenIn(("country:DE", "device:phone"), ("tent", "tent")))
    >>> model.learn(state, ChosenIn(("country:DE",), ("lamp",)))
    >>> model.view(state)["country:DE"]
    ContextView(items=('lamp', 'tent'), weights=(1.0, 1.0))
    """

    key = "contexts"
    state_field = "contexts"
    message_field = "chosen_in"
    message_bytes = CHOSEN_BYTES
    decode = ViewDecoder(dict[str, ContextView])

    def __init__(self, settings: ContextsSettings) -> None:
        self._settings = settings

    def new_state(self) -> ContextsState:
        """Return the state before anything was learned."""
        return ContextsState()

    def check(self, message: ChosenIn) -> None:
        """Make sure that the choices can be counted.

        Raises
        ------
        ValueError
            If they cannot.
        """
        message.check()

    def learn(self, state: ContextsState, message: ChosenIn) -> None:
        """Count choices, in place. Constant time for each."""
        settings = self._settings
        for name, item in zip(message.contexts, message.items, strict=True):
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

    def progress(self, state: ContextsState) -> int:
        """Return the number of choices learned."""
        return state.learned

    def due(self, state: ContextsState, before: object) -> bool:  # noqa: ARG002  # its own count goes further back
        """Tell whether enough was learned since the last broadcast; if so, the next one counts from now."""
        if state.learned - state.published < self._settings.published_every:
            return False
        state.published = state.learned
        return True

    def view(self, state: ContextsState) -> dict[str, ContextView]:
        """Return what is published, by context."""
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
        self.apply(None)

    def apply(self, views: Mapping[str, ContextView] | None) -> None:
        """Take over what was published; :obj:`None` forgets all contexts."""
        self.views = dict(views or {})
        self.names = sorted(self.views)


def chosen_in(
    contexts_before: Sequence[Mapping[str, str]], items_before: Sequence[Container[str]], events: Sequence[Event]
) -> ChosenIn:
    """Make a message of what some users choose in their contexts; of the first :data:`SAMPLED_USERS` that have any.

    Somebody's return to an item is no further choice: one visitor's habit is no trend.

    Parameters
    ----------
    contexts_before, items_before
        What was known of each user's circumstances, and the items of the user, before the event.
    events
        The next event of each user.
    """
    contexts, items, sampled = list[str](), list[str](), 0
    for before, touched, event in zip(contexts_before, items_before, events, strict=True):
        has_context = before or event.context is not None or event.channel
        if has_context and event.item_id not in touched:
            known = dict(before)
            update_circumstances(known, event.context, event.channel)
            names = context_names(known)
            contexts += names
            items += [event.item_id] * len(names)
            sampled += 1
            if sampled == SAMPLED_USERS:
                break
    return ChosenIn(tuple(contexts), tuple(items))
