"""When a user last viewed and bought things of each category, as windows of targeting ask for it.

What a profile keeps of a category by name is when an event named it last. Events that carry ids alone, and all
purchases, are known by item: the read model of items says which category an item is of. As everywhere, that is looked
up where an ad is decided, and nothing of it is stored.
"""

from __future__ import annotations

from processors.common.text import folded
from processors.items.index import ItemIndex
from processors.users.profile import Profile


def categories_viewed(profile: Profile, items: ItemIndex | None) -> dict[str, int]:
    """Return when each category of interest was viewed last, milliseconds since the epoch.

    Complexity: linear in the interests and the recent items of the profile, a few dozen.

    Parameters
    ----------
    profile
        The user, completed or not (:func:`processors.models.completed_profiles.completed`).
    items
        The read model of items.

    Returns
    -------
    dict of str to int
        By category, :func:`processors.common.text.folded`. One of an item that is no longer among the recent ones, and
        that no event named, is left out: nobody knows when that was.

    Examples
    --------
    >>> from processors.users.category_visits import CategoryVisits
    >>> profile = Profile(categories={"Tents": 2.0, "lamps": 1.0}, category_visits={"Tents": CategoryVisits(90)})
    >>> categories_viewed(profile, None)
    {'tents': 90}
    """
    found: dict[str, int] = {}
    for name in profile.categories:
        if name in profile.category_visits:
            _later(found, name, profile.category_visits[name].last_ms)
    if items is not None and profile.unnamed:
        times = dict(zip(profile.item_ids, profile.item_times, strict=True))
        for item in profile.unnamed.keys() & times.keys():
            view = items.view(item)
            if view is not None and view.category is not None:
                _later(found, view.category, times[item])
    return found


def categories_bought(profile: Profile, items: ItemIndex | None) -> dict[str, int]:
    """Return when something of each category was bought last and not returned, milliseconds since the epoch.

    Complexity: one look-up per item bought last, 64 at most.

    Parameters
    ----------
    profile
        The user.
    items
        The read model of items. What it does not hold, such as an item that was withdrawn, is of no category.

    Returns
    -------
    dict of str to int
        By category, :func:`processors.common.text.folded`; 0 if it is not known when.
    """
    found: dict[str, int] = {}
    if items is None or not profile.bought:
        return found
    bought = profile.last_bought()
    slots = items.slots_of_fingerprints(b"".join(bought)).tolist()
    for slot, at_ms in zip(slots, bought.values(), strict=True):
        name = items.category_name(slot) if slot >= 0 else None
        if name is not None:
            _later(found, name, at_ms)
    return found


def _later(found: dict[str, int], category: str, at_ms: int) -> None:
    name = folded(category)
    found[name] = max(found.get(name, 0), at_ms)
