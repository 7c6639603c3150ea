"""What came of a demo, in a few figures."""

from __future__ import annotations

from dataclasses import dataclass

from streams.demo.snapshot import Setting
from streams.demo.watch import Watch


@dataclass(frozen=True)
class Summary:
    """What ``nearstream demo --json`` prints.

    Rates from 0 to 1; quarters are those of the run; ``oracle_share`` is the last quarter's hit-rate over that of
    slates which know the shoppers' minds; the rates of ads are those expected of the last ones. ``ready_s`` runs from
    the command to the first recommendation read.
    """

    events: int
    recommendations: int
    seconds: float
    ready_s: float | None
    p50_ms: float | None
    p99_ms: float | None
    hit_rate: float | None
    hit_rate_first_quarter: float | None
    hit_rate_last_quarter: float | None
    oracle: float | None
    popularity: float | None
    oracle_share: float | None
    ads: int
    ad_clicks: int
    ad_click_rate: float | None
    ad_click_rate_by_chance: float | None
    placement: str
    broker: str
    guarantee: str
    rate: float
    shoppers: int
    seed: int


def summarize(watch: Watch, setting: Setting, begun_s: float) -> Summary:
    """What came of a run.

    Parameters
    ----------
    watch
        That has watched it.
    setting
        It ran in.
    begun_s
        When the command began, in seconds since the epoch.
    """
    hit, oracle, popularity = range(3)
    ads = watch.ads.snapshot(0.0)
    last, ceiling = watch.curve.mean(hit, 0.75), watch.curve.mean(oracle, 0.75)
    return Summary(
        events=watch.events,
        recommendations=watch.recommendations,
        seconds=round(watch.lasted_s, 1),
        ready_s=None if watch.first_at_s is None else round(watch.first_at_s - begun_s, 2),
        p50_ms=watch.latencies.quantile(0.5),
        p99_ms=watch.latencies.quantile(0.99),
        hit_rate=_rounded(watch.curve.mean(hit)),
        hit_rate_first_quarter=_rounded(watch.curve.mean(hit, 0.0, 0.25)),
        hit_rate_last_quarter=_rounded(last),
        oracle=_rounded(watch.curve.mean(oracle)),
        popularity=_rounded(watch.curve.mean(popularity)),
        oracle_share=_rounded(last / ceiling if last is not None and ceiling else None),
        ads=ads.filled,
        ad_clicks=ads.clicked,
        ad_click_rate=_rounded(ads.rate),
        ad_click_rate_by_chance=_rounded(ads.chance),
        placement=setting.placement,
        broker=setting.broker,
        guarantee=setting.guarantee,
        rate=setting.rate,
        shoppers=setting.shoppers,
        seed=setting.seed,
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
