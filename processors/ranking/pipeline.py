"""From profiles to slates: candidates, features and scores for many users at once, then limits, rules and places.

:class:`RankingPipeline` also asks, before an event is learned, what its user would have been shown: the lessons that
everything learned here comes from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints
from processors.common.time import DAY_MS
from processors.items.index import ItemIndex
from processors.models.examples import Examples
from processors.models.exploration_rate import PARTS, Trials
from processors.models.exposure import Measured, measure
from processors.models.ranker_weights import HEADS, buckets_of, effective, fallback_weights
from processors.ranking.candidates import MAX_ROWS, Candidates, Gatherer
from processors.ranking.eligibility import within_limits
from processors.ranking.exploration import Draw, Explored, explore, seeds_of
from processors.ranking.fatigue import Fatigue, Tired
from processors.ranking.features import feature_names, features_of
from processors.ranking.read_models import ReadModels
from processors.ranking.reasons import Explainer, holds
from processors.ranking.rule_effects import RuleEffects, effects_of
from processors.ranking.rule_index import RuleIndex, matches
from processors.ranking.rules import Rule
from processors.ranking.scoring import NEVER, scores_of, with_ties
from processors.ranking.selection import DEPTH, pinned, spread, top
from processors.ranking.settings import RankingSettings
from processors.ranking.slate import Slates, joined
from processors.ranking.training import NO_QUESTION, Answers, examples_of, listwise_loss
from processors.ranking.why_not import Way, WhyNot, what_became
from processors.users.profile import Profile


@dataclass(frozen=True)
class _Scored:
    """Candidates with their features, which of them anything true can be said of, and the hash that breaks ties."""

    candidates: Candidates
    features: Features
    true: Flags
    ties: Floats

    @property
    def shown(self) -> Flags:
        """Candidates that anything can be said for."""
        found: Flags = np.logical_or.reduce(self.true)
        return found


class RankingPipeline:
    """Ranks for many users at once, and finds out what their next choice teaches.

    Parameters
    ----------
    settings
        Placements and sources.

    Attributes
    ----------
    features : tuple of str
        Names of the features.
    """

    def __init__(self, settings: RankingSettings) -> None:
        self.settings = settings
        self._gatherer = Gatherer(settings.sources)
        self._fatigue = Fatigue(settings.fatigue, settings.fatigue_after, settings.fatigue_half_life_ms)
        self.features = feature_names(self._gatherer.columns)
        self._explainer = Explainer(self.features)
        self._plain = effective(fallback_weights(self.features))  # the same for all heads

    def rank(
        self,
        profiles: Sequence[Profile],
        now_ms: Sequence[int],
        read: ReadModels,
        at_ms: int,
    ) -> list[Slates]:
        """Slates per placement, in the order of the settings; rows as in ``profiles``.

        Deterministic in profiles, moments, published item views, model and rules alone: ties are broken by a hash of
        the item id, chance is drawn from the user's latest event, and it makes no difference who else is ranked for.

        Parameters
        ----------
        now_ms
            The moment each slate is for, milliseconds since the epoch: the user's latest event.
        at_ms
            The moment at which the rules must be in force.
        """
        order = np.argsort(buckets_of(profiles, now_ms), kind="stable").tolist()
        wanted = read.rules.wanted(at_ms, read.items) if len(read.rules) else None
        parts = []
        for at in range(0, max(1, len(profiles)), MAX_ROWS):
            rows = order[at : at + MAX_ROWS]
            of_part = [profiles[row] for row in rows]
            scored = self._score(of_part, [now_ms[row] for row in rows], read, wanted)
            parts.append(self._rank_part(scored, read, at_ms))
        place = np.argsort(order)
        return [joined([part[n] for part in parts], place) for n in range(len(self.settings.placements))]

    def lessons(
        self,
        profiles: Sequence[Profile],
        now_ms: Sequence[int],
        chosen: Sequence[str],
        read: ReadModels,
        at_ms: int,
    ) -> tuple[list[Answers], Examples]:
        """What the users' choices teach, given the profiles as they were before.

        Parameters
        ----------
        profiles
            At most :data:`processors.ranking.candidates.MAX_ROWS`, not empty.
        now_ms
            When each user chose.
        chosen
            Item of each user.
        at_ms
            The moment at which the rules must be in force.

        Returns
        -------
        answers
            Per head, in the order of :data:`processors.models.ranker_weights.HEADS`.
        examples
            The same for the models plane.
        """
        scored, index, rules = self._score(profiles, now_ms, read), read.items, read.rules
        candidates, features = scored.candidates, scored.features
        slots = np.array(index.slots_of(list(chosen)), np.int64)
        is_touched = candidates.touched & (candidates.slots == slots[candidates.rows])
        touched = np.zeros(len(profiles), np.bool_)
        touched[candidates.rows[is_touched]] = True
        plain = scores_of(self._plain[0], candidates, features)
        answers = []
        for head, name in enumerate(HEADS):
            listed = scored.shown
            asked = slots
            if name == "new":
                listed = listed & ~candidates.touched
                asked = np.where(touched, NO_QUESTION, slots)
            scores = scores_of(read.weights.learned[head], candidates, features)
            answers.append(listwise_loss(scores, plain, scored.ties, candidates, features, listed, asked))
        examples = examples_of(self.features, buckets_of(profiles, now_ms), answers)
        examples.trials = self._trials(scored, slots, read)
        if exposures := rules.exposures(at_ms):
            asked_slates = self._rank_part(self._wanting(profiles, now_ms, read, at_ms), read, at_ms)
            examples.exposure = self._measured(asked_slates, exposures, index, rules, at_ms)
        return answers, examples

    def why_not(self, profile: Profile, item: str, read: ReadModels, at_ms: int) -> list[WhyNot]:
        """What became of an item on its way into the user's slates, per placement.

        Parameters
        ----------
        item
            Its id; it need not be known.
        at_ms
            The moment the slates would be for.
        """
        wanted = read.rules.wanted(at_ms, read.items) if len(read.rules) else None
        scored, index = self._score([profile], [at_ms], read, wanted), read.items
        shown = self._rank_part(scored, read, at_ms)
        slot = index.slot(item)
        at = np.flatnonzero(scored.candidates.slots == slot) if slot >= 0 else np.empty(0, np.int64)
        found, tired = [], self._fatigue.of(scored.candidates, index)
        allowed = within_limits(scored.candidates, index, self.settings.unknown_limits)
        showable = scored.shown & allowed & index.attributes.available[scored.candidates.slots]
        for placement, slates in zip(self.settings.placements, shown, strict=True):
            head = HEADS.index("new" if placement.only_new else "any")
            scores = self._valued(read.weights.serving[head], scored, tired, index)
            kept = showable & ~scored.candidates.touched if placement.only_new else showable
            verdict = effects_of(read.rules, scored.candidates, placement.name, at_ms, index, kept)
            places = np.flatnonzero(slates.slots[0] == slot) if slot >= 0 else at
            way = Way(scored.candidates, at, scored.shown, allowed, scores, verdict, places, tired)
            found.append(what_became(way, placement.name, placement.only_new, index, slot))
        return found

    def _score(
        self, profiles: Sequence[Profile], now_ms: Sequence[int], read: ReadModels, wanted: Ints | None = None
    ) -> _Scored:
        candidates = self._gatherer.gather(profiles, now_ms, read, wanted)
        index = read.items
        return _Scored(
            candidates, features_of(candidates, index), holds(candidates), index.attributes.tie[candidates.slots]
        )

    def _valued(self, weights: Floats, scored: _Scored, tired: Tired, index: ItemIndex) -> Floats:
        """What each candidate is worth to the shop, by the weights of one head; no two are equal."""
        learned = scores_of(weights, scored.candidates, scored.features)
        worth = self.settings.objectives.applied_to(learned, scored.candidates, index)
        return tired.applied_to(with_ties(worth, scored.ties))

    def _rank_part(self, scored: _Scored, read: ReadModels, at_ms: int) -> list[Slates]:
        candidates, index, book = scored.candidates, read.items, read.weights
        shown = scored.shown & self._may_be_shown(candidates, index)
        seeds, tired = seeds_of(candidates.visitors.profiles), self._fatigue.of(candidates, index)
        of_head: dict[str, Floats] = {}
        showable: dict[str, Flags] = {}
        slates = []
        for number, placement in enumerate(self.settings.placements):
            name = "new" if placement.only_new else "any"
            weights = book.serving[HEADS.index(name)]
            if name not in of_head:
                scores = self._valued(weights, scored, tired, index)
                showable[name] = shown & ~candidates.touched if placement.only_new else shown
                of_head[name] = np.where(showable[name], scores, NEVER)
            verdict = effects_of(read.rules, candidates, placement.name, at_ms, index, showable[name])
            scores = verdict.applied_to(of_head[name])
            draw = Draw(self.settings.exploration * PARTS[book.arm], seeds + np.uint64(number))
            places = self._places(scored, scores, placement.size, verdict, draw, index)
            slates.append(self._slates(scored, scores, weights, places, verdict.ignored, index))
        return slates

    def _places(
        self, scored: _Scored, scores: Floats, size: int, verdict: RuleEffects, draw: Draw, index: ItemIndex
    ) -> Explored:
        """Candidates in the order in which they are shown."""
        settings, candidates = self.settings, scored.candidates
        if settings.diversity or verdict.caps:
            groups = index.attributes.category[candidates.slots].astype(np.int64)
            deep = top(candidates.begins, scores, DEPTH * size)
            chosen = spread(*deep, scores, groups, size, settings.diversity, verdict.caps, candidates.slots)
        else:
            chosen = top(candidates.begins, scores, size)
        allowed = scores > NEVER
        if verdict.pins:
            chosen = pinned(*chosen, verdict.pins, allowed, candidates.begins, candidates.slots)
        new = allowed & self._are_new(candidates, index)
        return explore(*chosen, scores, candidates.rows, new, scored.ties, draw)

    def _may_be_shown(self, candidates: Candidates, index: ItemIndex) -> Flags:
        available: Flags = index.attributes.available[candidates.slots]
        return available & within_limits(candidates, index, self.settings.unknown_limits)

    def _are_new(self, candidates: Candidates, index: ItemIndex) -> Flags:
        since = candidates.visitors.now_ms[candidates.rows] - int(self.settings.new_item_days * DAY_MS)
        new: Flags = index.attributes.since[candidates.slots] > since
        return new

    def _wanting(self, profiles: Sequence[Profile], now_ms: Sequence[int], read: ReadModels, at_ms: int) -> _Scored:
        """Candidates with those that rules want, which no user is taught from."""
        return self._score(profiles, now_ms, read, read.rules.wanted(at_ms, read.items))

    def _measured(
        self,
        slates: Sequence[Slates],
        exposures: Sequence[tuple[str, Rule]],
        index: ItemIndex,
        rules: RuleIndex,
        at_ms: int,
    ) -> tuple[Measured, ...]:
        """What the items of each rule got in slates of all its placements."""
        found = []
        for name, rule in exposures:
            offset, parts = rules.exposure_offset(name), list[Measured]()
            for placement, part in zip(self.settings.placements, slates, strict=True):
                if not rule.placements or placement.name in rule.placements:
                    slots = np.maximum(part.slots, 0)
                    matching = matches(rule.items, slots.ravel(), at_ms, index).reshape(slots.shape)
                    parts.append(measure(name, rule.bounds, matching, part.slots >= 0, offset))
            total = sum(part.total for part in parts)
            if total:
                found.append(Measured(name, sum(part.got for part in parts), total, *rule.bounds, offset))
        return tuple(found)

    def _trials(self, scored: _Scored, chosen: Ints, read: ReadModels) -> Trials:
        """Whether users chose what the first placement shows them, of those whose slate may show a new item.

        Their slates are made once more, by the ranking as it is now and without rules: close enough to compare how
        much exploring serves users.
        """
        candidates, settings, index, book = scored.candidates, self.settings, read.items, read.weights
        placement = settings.placements[0]
        kept = scored.shown & self._may_be_shown(candidates, index)
        kept = kept & ~candidates.touched if placement.only_new else kept
        new = kept & self._are_new(candidates, index)
        if not settings.exploration or not new.any():
            return Trials(book.arm)
        weights = book.serving[HEADS.index("new" if placement.only_new else "any")]
        tired = self._fatigue.of(candidates, index)
        scores = np.where(kept, self._valued(weights, scored, tired, index), NEVER)
        draw = Draw(settings.exploration * PARTS[book.arm], seeds_of(candidates.visitors.profiles))
        slates = top(candidates.begins, scores, placement.size)
        places = explore(*slates, scores, candidates.rows, new, scored.ties, draw)
        able = (places.propensities < 1.0).any(axis=1)
        slots = candidates.slots[np.where(places.filled, places.numbers, 0)]
        hits = (places.filled & (slots == chosen[:, None])).any(axis=1)
        return Trials(book.arm, int(able.sum()), int((able & hits).sum()))

    def _slates(
        self,
        scored: _Scored,
        scores: Floats,
        weights: Floats,
        places: Explored,
        ignored: Counter[str],
        index: ItemIndex,
    ) -> Slates:
        candidates, shape = scored.candidates, places.numbers.shape
        flat = np.flatnonzero(places.filled)
        picked = places.numbers.ravel()[flat]
        buckets = buckets_of(candidates.visitors.profiles, candidates.visitors.now_ms)
        of_picked = weights[buckets[candidates.rows[picked]]].T
        weighted = scored.features[:, picked] * of_picked
        explained = self._explainer.explain(candidates, picked, weighted, scored.true, index)
        slots = np.full(places.numbers.size, -1, np.int64)
        kinds, because, score = slots.copy(), slots.copy(), np.zeros(len(slots))
        slots[flat] = candidates.slots[picked]
        score[flat] = np.round(scores[picked], 6)
        kinds[flat], because[flat] = explained.kinds, explained.links
        return Slates(
            slots.reshape(shape),
            score.reshape(shape),
            kinds.reshape(shape),
            because.reshape(shape),
            np.round(places.propensities, 6),
            self.settings.locale,
            ignored,
        )
