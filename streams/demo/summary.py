"""The figures of a demo that is over."""

from __future__ import annotations

from dataclasses import dataclass

from streams.demo.snapshot import DemoInfo
from streams.demo.watch import Measurements


@dataclass(frozen=True)
class Summary:
    """What ``nearstream demo --json`` prints.

    Rates are from 0 to 1, quarters are those of the run. ``oracle_share`` is the last quarter's hit rate over that of
    slates made with knowledge of the shoppers' tastes. The rates of ads are expected ones, of the last ads.
    ``ready_s`` is the time from the command to the first recommendation read, ``held_s`` by how much the shoppers were
    held up as the machine did not keep up with ``rate``.
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
    held_s: float = 0.0


def summarize(measurements: Measurements, info: DemoInfo, begun_s: float) -> Summary:
    """Return the figures of a run.

    Parameters
    ----------
    measurements
        Everything that was measured in the run.
    info
        What did not change during the run.
    begun_s
        When the command began, in seconds since the epoch.
    """
    hit, oracle, popularity = range(3)
    ads = measurements.ads.snapshot(0.0)
    last, ceiling = measurements.curve.mean(hit, 0.75), measurements.curve.mean(oracle, 0.75)
    return Summary(
        events=measurements.events,
        recommendations=measurements.recommendations,
        seconds=round(measurements.lasted_s, 1),
        ready_s=None if measurements.first_at_s is None else round(measurements.first_at_s - begun_s, 2),
        p50_ms=measurements.latencies.quantile(0.5),
        p99_ms=measurements.latencies.quantile(0.99),
        hit_rate=_rounded(measurements.curve.mean(hit)),
        hit_rate_first_quarter=_rounded(measurements.curve.mean(hit, 0.0, 0.25)),
        hit_rate_last_quarter=_rounded(last),
        oracle=_rounded(measurements.curve.mean(oracle)),
        popularity=_rounded(measurements.curve.mean(popularity)),
        oracle_share=_rounded(last / ceiling if last is not None and ceiling else None),
        ads=ads.filled,
        ad_clicks=ads.clicked,
        ad_click_rate=_rounded(ads.rate),
        ad_click_rate_by_chance=_rounded(ads.chance),
        placement=info.placement,
        broker=info.broker,
        guarantee=info.guarantee,
        rate=info.rate,
        shoppers=info.shoppers,
        seed=info.seed,
        held_s=round(measurements.held_s, 1),
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)
