"""``nearstream bench ablation``: what each candidate source and each group of features adds on a stream.

One pass over the events. Before each, candidates and features of its user are made once. Every variant of the ranker
lacks something: a source with all that it alone proposed, or a group of features. It scores what is left, is asked
where the event's item stood, and learns, with weights of its own. So all variants see the same items, and differences
are those of the ranking alone. A rank here is the one among the candidates, without the filling up of ``evaluate``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import process_time

import msgspec
import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints
from processors.events.event import ITEM_TOPICS
from processors.models.ranker_weights import BUCKETS, HEADS, WEIGHT_ROWS, buckets_of, fallback_weights, rows_of_bucket
from processors.models.state import ModelsSettings
from processors.ranking.candidates import Candidates, Marks
from processors.ranking.feature_names import baseline_weights
from processors.ranking.features import features_of
from processors.ranking.gathering import Gatherer
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.reasons import true_kinds
from processors.ranking.scoring import scores_of
from processors.ranking.sources import ALL
from processors.ranking.training import Answers, listwise_loss
from processors.users.profile import Profile
from streams.datasets.event_files import FileEvent, read_events
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings

DEPTH = 20

FEATURE_GROUPS: dict[str, tuple[str, ...]] = {
    "roots": ("_root",),
    "trend of hours": ("trend_hour", "trend_hour_root"),
    "trend of days": ("trend_day", "trend_day_root"),
    "trend of weeks": ("trend_week", "trend_week_root"),
    "all-time visits": ("visits", "visits_root"),
    "first visits of sessions": ("entries", "entries_root"),
    "trend in category": ("trend_in_category",),
    "item's age": ("item_fresh", "item_lately"),
    "own position": ("own_position", "own_last", "own_second", "own_third"),
    "own count": ("own_count",),
    "own age": ("own_age_minutes", "own_age_hour", "own_age_day", "own_age_days"),
    "own action": ("own_fav", "own_cart", "own_purchase"),
    "after a pause": ("own_resumed", "category_resumed"),
    "category": ("category_share", "category_recent", "category_last", "category_resumed"),
    "price": ("price_near",),
}
"""Features by group; ``_root`` stands for every feature whose name ends so."""


class VariantFigures(msgspec.Struct):
    """Hit rate and mean reciprocal rank at 20 of the last half, for all events and for first-time ones."""

    without: str
    hr20: float
    mrr20: float
    hr20_new: float
    mrr20_new: float


class AblationResult(msgspec.Struct):
    """Result, one JSON line; the first of ``variants`` lacks nothing.

    ``recall`` is the share of the last half's events whose item was a candidate, ``candidates`` their mean number.
    """

    data: str
    events: int
    cpu_s: float
    candidates: float
    recall: float
    variants: list[VariantFigures]


@dataclass
class Variant:
    """A ranker that lacks something, with what it has learned and the ranks it has reached.

    Parameters
    ----------
    name
        Name of what it lacks.
    used
        Which features it sees, of shape (features,).
    source
        Name of the source that it lacks; :obj:`None` if it lacks something else.
    buckets
        Whether it has weights for each length of history, beside those that are common to all.
    """

    name: str
    used: Flags
    source: str | None = None
    buckets: bool = True
    weights: Floats = field(init=False)
    squares: Floats = field(init=False)
    ranks: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))

    def __post_init__(self) -> None:
        self.weights = np.zeros((len(HEADS), WEIGHT_ROWS, len(self.used)))
        self.squares = np.full(self.weights.shape, ModelsSettings().first_square)

    def start(self, names: tuple[str, ...]) -> None:
        """Begin with the weights that a worker begins with."""
        self.weights = fallback_weights(names, baseline_weights()) * self.used

    def listed(self, candidates: Candidates, true: Marks) -> Flags:
        """Tell which candidates the variant knows: those of the other sources, and what the user has touched."""
        found: Flags = true != 0
        if self.source is not None:
            others = [candidates.proposed_by(name) for name in candidates.proposals if name != self.source]
            found = found & np.logical_or.reduce([candidates.touched, *others])
        return found

    def answer(self, head: int, candidates: Candidates, features: Features, listed: Flags, slot: int) -> int:
        """Return the rank of the item, 0 if it is not among those listed, and learn from it."""
        visitors = candidates.visitors
        bucket = int(buckets_of(visitors.profiles, visitors.now_ms)[0])
        rows = rows_of_bucket(bucket) if self.buckets else (0,)
        weights = np.repeat(self.weights[head, list(rows)].sum(axis=0)[None], BUCKETS, axis=0)
        scores = scores_of(weights, candidates, features)
        answers: Answers = listwise_loss(scores, scores, candidates, features, listed, np.array([slot]))
        for gradient in answers.gradients:
            for row in rows:
                masked = gradient * self.used
                self.squares[head, row] += masked * masked
                step = ModelsSettings().learning_rate * masked / np.sqrt(self.squares[head, row])
                self.weights[head, row] -= step
        return int(answers.ranks[0])


def run_ablation(data: Path, events: int | None = None, settings: Settings | None = None) -> AblationResult:
    """Run all variants over the events of a file.

    Parameters
    ----------
    data
        The event file.
    events
        Most events that are read; by default all.
    settings
        Settings of the planes, by default those of a shop that sets nothing. What is known in two ways is missed only
        if both are taken away: switch one off here (``users.ranking.sources``) and see what the other does.
    """
    study = _Study(settings or Settings())
    started = process_time()
    for event in read_events(data, events):
        if event.topic in ITEM_TOPICS:
            study.take(event)
    return study.result(data.name, round(process_time() - started, 1))


class _Study:
    """The planes that learn a stream, and the variants that are asked about each of its events."""

    def __init__(self, settings: Settings) -> None:
        topics = msgspec.structs.replace(settings.topics, partitions=1)
        ranking = msgspec.structs.replace(settings.users.ranking, training_examples=0)
        users = msgspec.structs.replace(settings.users, ranking=ranking)
        self._driver = TopologyDriver(msgspec.structs.replace(settings, topics=topics, users=users), publish=False)
        self._gatherer = Gatherer(ranking.sources)
        self._variants = variants_of(RankingPipeline(ranking).features)
        self._seen: dict[str, set[str]] = {}
        self._new: list[bool] = []
        self._found: list[bool] = []
        self._candidates = 0

    def take(self, event: FileEvent) -> None:
        """Ask every variant about the event, then let the planes learn it."""
        driver, user = self._driver, event.key.decode()
        driver.advance(max(driver.now, event.time_ms))
        (profile,) = driver.processors["users"][0].store.read([user])
        item = str(_item(event.value).item_id)
        self._ask(profile or Profile(), user, item, driver.topology.users.read)
        driver.pipe(event.topic, event.key, event.value, driver.now)

    def _ask(self, profile: Profile, user: str, item: str, read: ReadModels) -> None:
        index = read.items
        candidates = self._gatherer.gather([profile], [self._driver.now], read)
        features, true = features_of(candidates, index), true_kinds(candidates)
        slot = index.slot(item)
        seen = self._seen.setdefault(user, set())
        new = item not in seen
        seen.add(item)
        self._new.append(new)
        self._found.append(bool((candidates.slots == slot).any()))
        self._candidates += len(candidates)
        for variant in self._variants:
            listed = variant.listed(candidates, true)
            variant.ranks[0].append(variant.answer(0, candidates, features, listed, slot))
            fresh = listed & ~candidates.touched
            variant.ranks[1].append(variant.answer(1, candidates, features, fresh, slot) if new else 0)

    def result(self, name: str, cpu_s: float) -> AblationResult:
        """Return the figures of all variants over the last half of the events."""
        n = len(self._new)
        new = np.array(self._new[n // 2 :], np.bool_)
        figures = []
        for variant in self._variants:
            ranks = [np.array(part[n // 2 :]) for part in variant.ranks]
            figures.append(VariantFigures(variant.name, *_figures(ranks[0]), *_figures(ranks[1][new])))
        recall = float(np.mean(self._found[n // 2 :])) if n else 0.0
        return AblationResult(name, n, cpu_s, round(self._candidates / max(n, 1), 1), round(recall, 4), figures)


def variants_of(names: Sequence[str]) -> list[Variant]:
    """Return the whole ranker, then one that lacks each source, each group of features, weights per length of history.

    Examples
    --------
    >>> [variant.name for variant in variants_of(["together", "together_root", "visits"])][:3]
    ['nothing', 'source together', 'source recent']
    """
    whole = np.ones(len(names), np.bool_)
    found = [Variant("nothing", whole)]
    for source in ALL:
        own = [f"{column}{suffix}" for column in source.columns for suffix in ("", "_root")]
        found.append(Variant(f"source {source.name}", np.array([name not in own for name in names]), source.name))
    for group, members in FEATURE_GROUPS.items():
        lacks = [name in members or (members == ("_root",) and name.endswith("_root")) for name in names]
        found.append(Variant(group, ~np.array(lacks, np.bool_)))
    found.append(Variant("weights per history", whole, buckets=False))
    for variant in found:
        variant.start(tuple(names))
    return found


def _figures(ranks: Ints) -> tuple[float, float]:
    hits = ranks[(ranks > 0) & (ranks <= DEPTH)]
    n = max(len(ranks), 1)
    return round(len(hits) / n, 4), round(float(np.sum(1.0 / hits)) / n, 4)


class _Item(msgspec.Struct):
    item_id: str | int


_item = msgspec.json.Decoder(_Item).decode
