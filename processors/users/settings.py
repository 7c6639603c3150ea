"""Settings of user profiles: bounds and half-lives."""

import msgspec

from processors.common.bounds import Entries, EntriesOrNone, HalfLife, IdleDays, Milliseconds, Steps
from processors.common.time import DAY_MS


class ProfileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds and half-lives of a profile. Every bound costs memory in each profile and time at each event.

    Parameters
    ----------
    recent_items
        Distinct items kept with time, count, weight and action: those touched last.
    older_items
        Fingerprints kept of items that are no longer among ``recent_items``, so that a placement for new items
        (``discover``) still leaves them out.
    interests
        Categories kept, and as many brands; the weakest goes first.
    event_ids
        Event ids remembered per user, and as many ids of impressions and ad requests. A duplicate that comes after so
        many others is not recognised and counts twice.
    interest_half_life_ms
        After this long without a new event, an interest counts half; milliseconds.
    session_idle_ms
        A gap longer than this between two events ends the session; milliseconds.
    window_items
        Distinct items of the session that a new event is paired with for co-visitation, the latest ones.
    shown_items
        Distinct items kept that were shown and not touched, those shown last; 0 keeps none.
    expire_after_days
        Days without any event, impression or (consented) ad request of a user, and without an upload that changed the
        lists that the user is on, after which the profile is deleted, and the user's slates with it; 0 keeps profiles
        for ever. Ad decisions are deleted with them, so it must be longer than the windows of attribution and refunds.
    """

    recent_items: Entries = 120
    older_items: EntriesOrNone = 1000
    interests: Entries = 24
    event_ids: Entries = 128
    interest_half_life_ms: HalfLife = 14 * DAY_MS
    session_idle_ms: Milliseconds = 1_800_000
    window_items: Steps = 20
    shown_items: EntriesOrNone = 60
    expire_after_days: IdleDays = 400.0
