"""Lift: what a campaign brings beyond what would have been bought without it, by showing nothing to some users.

A campaign may hold out a share of the users (``holdout``), by a hash of campaign and user that never changes. It bids
for them like for any others, and where it wins nothing is shown. Until a campaign wins a user's auction for the first
time nothing differs between those who are held out and those who are not. So what both buy within a time from then on
(``users.ads.lift_ms``) can be compared: every purchase counts, of whatever item, as what is bought instead of another
item is no gain.

References
----------
G. Johnson, R. Lewis, E. Nubbemeyer, "Ghost ads: improving the economics of measuring online ad effectiveness", JMR 54,
2017. A. Agresti, B. Caffo, "Simple and effective confidence intervals for proportions and differences of proportions
result from adding two successes and two failures", The American Statistician 54, 2000.
"""

from __future__ import annotations

import math

import msgspec

_Z = 1.959964
"""Standard deviations on either side that hold 95 % of a normal distribution."""


class Arm(msgspec.Struct, array_like=True):
    """Users of a campaign who are shown it, or those who are held out.

    Parameters
    ----------
    users
        Number of users whose auctions it has won.
    buyers
        Number of those who bought anything within the time that counts.
    revenue, squares
        What they spent in that time in all, in the currency of the ads, and the sum of the squares of what each spent.
    """

    users: int = 0
    buyers: int = 0
    revenue: float = 0.0
    squares: float = 0.0

    def add(self, other: Arm) -> None:
        """Add what another one counted, in place."""
        self.users += other.users
        self.buyers += other.buyers
        self.revenue += other.revenue
        self.squares += other.squares


class Interval(msgspec.Struct, frozen=True):
    """An estimate, and the bounds between which the true value lies in 95 of 100 cases."""

    estimate: float
    low: float
    high: float


def conversion_lift(shown: Arm, held: Arm) -> Interval | None:
    """Estimate by how much the share of buyers is higher where the campaign is shown.

    Returns
    -------
    Interval or None
        Difference of the shares; :obj:`None` if either arm has no user. The bounds are those of Agresti and Caffo.

    Examples
    --------
    >>> found = conversion_lift(Arm(users=1000, buyers=120), Arm(users=1000, buyers=100))
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (0.02, -0.008, 0.047)
    """
    if not shown.users or not held.users:
        return None
    (p, n), (q, m) = (((arm.buyers + 1) / (arm.users + 2), arm.users + 2) for arm in (shown, held))
    margin = _Z * math.sqrt(p * (1.0 - p) / n + q * (1.0 - q) / m)
    estimate = shown.buyers / shown.users - held.buyers / held.users
    return Interval(estimate, max(p - q - margin, -1.0), min(p - q + margin, 1.0))


def revenue_lift(shown: Arm, held: Arm) -> Interval | None:
    """Estimate by how much a user spends more where the campaign is shown, in the currency of the ads.

    Returns
    -------
    Interval or None
        Difference of the means, with bounds by the variances of both arms (Welch); :obj:`None` if either has fewer than
        two users.

    Examples
    --------
    >>> shown, held = Arm(4, 2, revenue=20.0, squares=200.0), Arm(4, 1, revenue=10.0, squares=100.0)
    >>> found = revenue_lift(shown, held)
    >>> found.estimate, round(found.low, 1), round(found.high, 1)
    (2.5, -5.0, 10.0)
    """
    if min(shown.users, held.users) < 2:
        return None
    difference, variance = 0.0, 0.0
    for sign, arm in ((1.0, shown), (-1.0, held)):
        mean = arm.revenue / arm.users
        spread = max(arm.squares - arm.users * mean * mean, 0.0) / (arm.users - 1)
        difference, variance = difference + sign * mean, variance + spread / arm.users
    margin = _Z * math.sqrt(variance)
    return Interval(difference, difference - margin, difference + margin)
