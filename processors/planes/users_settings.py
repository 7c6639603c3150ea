"""Settings of the users plane, and which of them contradict each other."""

from __future__ import annotations

import msgspec

from processors.ads.settings import AdSettings
from processors.common.errors import ConfigurationError
from processors.common.time import DAY_MS, zone_of
from processors.events.consent import ConsentSettings
from processors.events.repair import IntakeSettings
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.settings import RankingSettings
from processors.users.influence import InfluenceSettings
from processors.users.settings import ProfileSettings


class UsersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the users plane.

    Parameters
    ----------
    intake
        How records are read, repaired or refused.
    profile
        What profiles keep.
    ranking
        How slates are made.
    ads
        How ads are decided.
    influence
        When an account has a past, and when it counts as a machine, from which nothing is learned for others.
    consent
        How what says nothing of purposes is taken.
    """

    intake: IntakeSettings = IntakeSettings()
    profile: ProfileSettings = ProfileSettings()
    ranking: RankingSettings = RankingSettings()
    ads: AdSettings = AdSettings()
    influence: InfluenceSettings = InfluenceSettings()
    consent: ConsentSettings = ConsentSettings()

    def check(self) -> None:
        """Refuse settings that contradict each other.

        Raises
        ------
        ConfigurationError
            If profiles, and with them ad decisions, would be deleted before the last refund that is to undo them; or if
            nobody could ever have the past that counts in full; or if reasons have no text in the language of the shop,
            or a time zone is none.

        Examples
        --------
        >>> UsersSettings(profile=ProfileSettings(expire_after_days=7)).check()
        Traceback (most recent call last):
        ...
        processors.common.errors.ConfigurationError: users.profile.expire_after_days: 7 days are less than the 37.02 ...
        """
        if self.influence.past_items >= self.profile.recent_items:
            raise ConfigurationError(
                f"users.influence.past_items: {self.influence.past_items} are not remembered by profiles of "
                f"{self.profile.recent_items} items (users.profile.recent_items), so that nobody would ever count in "
                "full; expected fewer"
            )
        ReasonTexts(self.ranking.locale, self.ranking.texts)
        if self.intake.timezone is not None and zone_of(self.intake.timezone) is None:
            raise ConfigurationError(
                f"users.intake.timezone: {self.intake.timezone!r}, expected a name such as Europe/Berlin"
            )
        days, needed = self.profile.expire_after_days, self.ads.remembered_ms / DAY_MS
        if 0 < days < needed:
            raise ConfigurationError(
                f"users.profile.expire_after_days: {days:g} days are less than the {needed:.2f} for which a refund "
                "can undo what an ad brought (users.ads: click_credit_ms, purchase_credit_ms, view_credit_ms, "
                "refund_ms); expected more, or 0 to keep profiles for ever"
            )
