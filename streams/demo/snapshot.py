"""The figures that the view draws: plain values, taken at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoInfo:
    """What does not change during a demo.

    Parameters
    ----------
    broker
        Name of the broker, for a person.
    brokers
        Addresses to connect to.
    metrics_url
        Where the worker serves its metrics.
    guarantee
        The worker's processing guarantee.
    shoppers, rate
        How many simulated shoppers, and how many events they send a second.
    placement
        The placement whose slates are shown and judged.
    seed
        Seed of the simulation.
    example_item
        Id of a product, to try things with.
    activate
        What to type in another terminal before ``nearstream`` is found there; empty if it is found anyway.
    """

    broker: str
    brokers: str
    metrics_url: str
    guarantee: str
    shoppers: int
    rate: float
    placement: str
    seed: int
    example_item: str
    activate: str = ""


@dataclass(frozen=True)
class ShopperAction:
    """Something that the followed shopper did.

    Parameters
    ----------
    ago_s
        Seconds since it happened.
    action
        What was done, in a word or two.
    name
        Name of the product.
    foreseen
        Rank of the product in the slate that the shopper saw before; :obj:`None` if it was not there.
    """

    ago_s: float
    action: str
    name: str
    foreseen: int | None = None


@dataclass(frozen=True)
class Suggestion:
    """An item of the followed shopper's slate: its rank, the product's name, and why it is there."""

    rank: int
    name: str
    reason: str


@dataclass(frozen=True)
class Story:
    """One shopper: who it is, what this person did last (latest first), and what is suggested now."""

    user_id: str
    tastes: str
    actions: tuple[ShopperAction, ...]
    slate: tuple[Suggestion, ...]


@dataclass(frozen=True)
class CampaignFigures:
    """What a campaign has spent, of how much, its impressions and clicks, and which creative is clicked most.

    ``best_rate`` is the share of that creative's impressions that were clicked.
    """

    cid: str
    spent: float
    budget: float
    shown: int
    clicked: int
    best: str = ""
    best_rate: float | None = None


@dataclass(frozen=True)
class AdFigures:
    """The ads of one moment.

    Parameters
    ----------
    decided_per_s
        Decisions a second, lately.
    filled, clicked
        Ads shown and clicked so far.
    rate, chance, best
        Share of ads that is expected to be clicked, that of ads drawn by chance, and that of the best for each; lately.
    campaigns
        The campaigns, ordered by id.
    last
        The last click: whose, on what, and why it was shown.
    """

    decided_per_s: float
    filled: int
    clicked: int
    rate: float | None
    chance: float | None
    best: float | None
    campaigns: tuple[CampaignFigures, ...]
    last: str


@dataclass(frozen=True)
class Snapshot:
    """The figures of one moment.

    Parameters
    ----------
    elapsed_s
        Seconds since the first event was sent.
    events, recommendations
        How many so far.
    events_per_s, recommendations_per_s
        Rates over the last seconds.
    p50_ms, p99_ms
        Event-to-recommendation latency, lately.
    hit_rate, oracle, popularity
        Share of shoppers whose next product is among the first ten of their slate, of the best possible slate, of
        the most visited products; lately.
    curve
        Hit-rate since the beginning, in equal steps.
    story
        The story of one shopper.
    ads
        The ads, if there are any.
    held_s
        By how many seconds the shoppers were held up since the machine does not keep up.
    """

    elapsed_s: float
    events: int
    recommendations: int
    events_per_s: float
    recommendations_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    hit_rate: float | None
    oracle: float | None
    popularity: float | None
    curve: tuple[float, ...]
    story: Story
    ads: AdFigures | None = None
    held_s: float = 0.0
