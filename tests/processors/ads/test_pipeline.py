"""The stages of the ads pipeline: what each of them must keep to, and what follows from their order."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid, loss_of, reason_of
from processors.ads.pipeline import BEFORE_STAGES, EVERY, REASONS, STAGES, AdPipeline, stage_of
from processors.ads.signals import MOST_PLACEMENTS
from processors.models.click_model import ClickModel
from tests.processors.ads.batches import Batch, SomeShop, batch

BATCHES = [batch(seed) for seed in range(30)]


@dataclasses.dataclass
class Snapshot:
    """What a frame says of one opportunity, in terms that do not depend on the others."""

    choices: list[Any]
    figures: list[float]

    @classmethod
    def of(cls, frame: Frame, row: int) -> Snapshot:
        bids, worth = frame.bids, frame.worth
        those = np.flatnonzero(bids.opportunities == row)
        winner = int(frame.auctions.winners[row]) if len(frame.auctions.winners) else -1
        chosen = (bids.campaigns, bids.creatives, bids.ties)
        expected = (bids.expected_click, bids.expected_purchase, *worth)
        return cls(
            choices=[
                frame.removed[row].tolist(),
                int(bids.campaigns[winner]) if winner >= 0 else -1,
                *(column[those].tolist() for column in chosen),
                bids.features(those).tolist(),
            ],
            figures=[
                *frame.auctions.beaten[row : row + 1].tolist(),
                *(x for column in expected for x in column[those].tolist()),
            ],
        )

    def matches(self, other: Snapshot) -> bool:
        """Whether it is the same but for the last bits, in which sums over batches of other sizes may differ."""
        return self.choices == other.choices and self.figures == pytest.approx(other.figures, rel=1e-12)


def snapshots(frame: Frame, stages: Sequence[Stage]) -> Iterator[list[Snapshot]]:
    """What is known of each opportunity after each stage."""
    for stage in stages:
        frame = stage.run(frame)
        yield [Snapshot.of(frame, row) for row in range(len(frame.opportunities))]


def problems_of(stages: Sequence[Stage], batches: Sequence[Batch]) -> set[str]:
    """What is wrong with stages, found without knowing any of them: ``stage: problem``."""
    found = {f"{name}: name is not unique" for name, n in Counter(stage.name for stage in stages).items() if n > 1}
    given = Counter(code for stage in stages for code in stage.gives)
    found |= {f"{stage.name}: gives a code of another stage" for stage in stages for c in stage.gives if given[c] > 1}
    for one in batches:
        found.update(_problems_on(stages, one))
    return found


def _problems_on(stages: Sequence[Stage], one: Batch) -> Iterator[str]:
    frame = one.frame()
    for stage in stages:
        before = frame.removed.copy()
        after = stage.run(frame)
        if after is not frame:
            yield f"{stage.name}: gives back another frame"
        changed = frame.removed != before
        if (changed & (before != 0)).any():
            yield f"{stage.name}: changes what an earlier stage removed"
        if not {*frame.removed[changed].tolist()} <= {*stage.gives}:
            yield f"{stage.name}: gives a code that it does not declare"
    together, again = list(snapshots(one.frame(), stages)), list(snapshots(one.frame(), stages))
    singles = [list(snapshots(one.frame([found]), stages)) for found in one.opportunities]
    for number, stage in enumerate(stages):
        if together[number] != again[number]:
            yield f"{stage.name}: is not deterministic"
        alone = [single[number][0] for single in singles]
        if not all(map(Snapshot.matches, together[number], alone)):
            yield f"{stage.name}: depends on what else is decided for"


def test_every_stage_keeps_to_what_is_asked_of_stages() -> None:
    assert problems_of(EVERY, BATCHES) == set()


def test_the_batches_give_every_stage_something_to_do() -> None:
    """Or the test before says little."""
    given: Counter[int] = Counter()
    for one in BATCHES:
        for stage in EVERY:
            frame = one.frame()
            for earlier in EVERY[: EVERY.index(stage) + 1]:
                earlier.run(frame)
            given.update(code for code in frame.removed.ravel().tolist() if code in stage.gives)
    assert {code for stage in EVERY for code in stage.gives} <= given.keys()


def _clears(frame: Frame) -> Frame:
    frame.removed[:] = 0
    return frame


def _gives_another(frame: Frame) -> Frame:
    return dataclasses.replace(frame)


def _overstates(frame: Frame) -> Frame:
    frame.remove(frame.columns.floors >= 0.0, NoBid.NO_CAMPAIGN)
    return frame


def _draws(frame: Frame) -> Frame:
    frame.remove(np.random.default_rng().random(frame.removed.shape) < 0.5, NoBid.INVALID_REQUEST)
    return frame


def _compares(frame: Frame) -> Frame:
    frame.remove(frame.at_ms[:, None] > frame.at_ms.mean(), NoBid.INVALID_REQUEST)
    return frame


def _idles(frame: Frame) -> Frame:
    return frame


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (Stage("new", _clears), "changes what an earlier stage removed"),
        (Stage("new", _gives_another), "gives back another frame"),
        (Stage("new", _overstates, gives=(NoBid.INVALID_REQUEST,)), "gives a code that it does not declare"),
        (Stage("new", _draws, gives=(NoBid.INVALID_REQUEST,)), "is not deterministic"),
        (Stage("new", _compares, gives=(NoBid.INVALID_REQUEST,)), "depends on what else is decided for"),
        (Stage("new", _idles, gives=(NoBid.PACED,)), "gives a code of another stage"),
        (Stage("consent", _idles), "name is not unique"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stage_that_does_not_is_found_out(broken: Stage, problem: str) -> None:
    """The control of the conformance test itself."""
    # Before the approvals: what has no approved creative cannot bid, whatever another stage does.
    stages = [*STAGES[:2], broken, *STAGES[2:]]
    assert f"{broken.name}: {problem}" in problems_of(stages, BATCHES[:8])


def _by_device(frame: Frame) -> Frame:
    phones = np.array([found.dimensions["device"] == "phone" for found in frame.opportunities], np.bool_)
    frame.remove(phones[:, None] & frame.columns.pays_click, NoBid.INVALID_REQUEST)
    return frame


@pytest.mark.parametrize("at", range(len(STAGES) + 1))
def test_a_filter_may_be_added_anywhere(at: int) -> None:
    """Also between the bids and the auction, where it must keep its campaigns from winning."""
    new = Stage("new", _by_device, gives=(NoBid.INVALID_REQUEST,))
    stages = [*STAGES[:at], new, *STAGES[at:]]
    assert problems_of(stages, BATCHES[:8]) == set()
    for one in BATCHES[:8] if at < len(STAGES) else ():
        *_, last = snapshots(one.frame(), stages)
        phones = [
            found.choices[1]
            for found, asked in zip(last, one.opportunities, strict=True)
            if asked.dimensions["device"] == "phone"
        ]
        assert not any(one.index.columns.pays_click[winner] for winner in phones if winner >= 0)


def test_every_code_is_given_by_one_stage_or_before_the_first() -> None:
    given = Counter([*BEFORE_STAGES, *(code for stage in EVERY for code in stage.gives)])
    assert given == Counter(NoBid)
    assert {stage_of(code) for code in NoBid} == {"request", "campaigns", *(s.name for s in EVERY if s.gives)}
    assert all(
        code in next(s for s in EVERY if s.name == stage_of(code)).gives for code in NoBid if code not in BEFORE_STAGES
    )


def test_how_far_a_campaign_came_follows_from_the_order_of_the_stages() -> None:
    """The budget alone is looked at later than it ranks: a campaign without money counts its opportunities."""
    by_stage = [code for stage in EVERY for code in stage.gives]
    ranked = [code for code in REASONS if code not in BEFORE_STAGES]
    money = (NoBid.NO_BUDGET, NoBid.NO_ADVERTISER_BUDGET)
    assert [code for code in ranked if code not in money] == [code for code in by_stage if code not in money]
    assert [stage.name for stage in STAGES].index("budget") == [stage.name for stage in STAGES].index("frequency") + 1
    assert ranked.index(NoBid.NO_BUDGET) + 2 == ranked.index(NoBid.DAILY_USER_CAP)
    # As published since there are ads: what dashboards and reports compare must not change.
    shop = [513, 514, 515, 516, 517, 531, 532, 533, 518]
    published = [
        2, 500, 512, 501, 535, 534, 511, 502, 503, *shop, 504, 505, 550, 9, 506, 536, 507, 508, 509, 530, 510, 519
    ]  # fmt: skip
    assert [int(code) for code in REASONS] == published


_COULD_WIN = ("budget", "pacing", "auction", "holdout")


def pipeline_of(one: Batch) -> AdPipeline:
    return AdPipeline(one.settings, one.index, one.clicks, one.purchases, SomeShop())


def test_a_decision_without_an_ad_has_the_reason_of_what_came_furthest() -> None:
    reasons = set()
    for one in BATCHES:
        for decided in pipeline_of(one).decide(one.opportunities):
            codes = [reason_of(candidate.loss) for candidate in decided.candidates if candidate.loss]
            assert len(codes) == len(one.index) - (decided.nbr is None)
            if decided.nbr is not None:
                assert decided.nbr == max(codes, key=REASONS.index)
                reasons.add(stage_of(decided.nbr))
    assert len(reasons) > 6


def test_who_could_have_taken_part_was_held_back_or_beaten_or_won() -> None:
    late = {0, *(loss_of(code) for stage in EVERY if stage.name in _COULD_WIN for code in stage.gives)}
    for one in BATCHES:
        decisions = pipeline_of(one).decide(one.opportunities)
        assert [decided.able for decided in decisions] == [
            sum(candidate.loss in late for candidate in decided.candidates) for decided in decisions
        ]
        able: dict[str, Counter[str]] = {}
        for asked, decided in zip(one.opportunities, decisions, strict=True):
            able.setdefault(asked.placement, Counter()).update(c.cid for c in decided.candidates if c.loss in late)
        for asked, decided in zip(one.opportunities, decisions, strict=True):
            assert decided.opportunities == dict(able.pop(asked.placement, {})), "the first at a placement counts all"


def test_what_is_counted_of_a_batch_is_bounded_whatever_placements_apps_name() -> None:
    one = BATCHES[0]
    many = [
        msgspec.structs.replace(one.opportunities[n % len(one.opportunities)], placement=f"p{n}") for n in range(40)
    ]
    decisions = pipeline_of(one).decide(many)
    counted = [n for n, decided in enumerate(decisions) if decided.opportunities]
    assert set(counted) <= set(range(MOST_PLACEMENTS + 1))
    total = sum(sum(decided.opportunities.values()) for decided in decisions)
    assert total == sum(decided.able for decided in decisions) > 0


def test_a_micro_batch_is_decided_as_if_its_opportunities_came_one_by_one() -> None:
    """Budgets included, whether a campaign's own money is gone or that of the one whose price it had to beat."""
    ran_out = 0
    for one in map(batch, range(160)):
        for cid, view in list(one.index.views.items()):
            # An auction that is won where the user is held out counts as paid for within a micro-batch.
            shown_to_all = msgspec.structs.replace(view.campaign, holdout=0.0)
            one.index.apply(cid, msgspec.structs.replace(view, campaign=shown_to_all))
        pipeline, costs = pipeline_of(one), dict[str, float]()
        together = pipeline.decide(one.opportunities)
        for found, among_others in zip(one.opportunities, together, strict=True):
            (alone,) = pipeline.decide([found], costs)
            if alone.cid:
                costs[alone.cid] = costs.get(alone.cid, 0.0) + alone.cost
            counted = {"opportunities": among_others.opportunities, "bids": among_others.bids}
            assert msgspec.structs.replace(alone, **counted) == among_others
        ran_out += any(cost > 4.0 for cost in costs.values())
    assert ran_out >= 3


def test_without_opportunities_or_campaigns_nothing_is_decided() -> None:
    one = BATCHES[0]
    assert pipeline_of(one).decide([]) == []
    empty = AdPipeline(one.settings, type(one.index)(), ClickModel(), ClickModel())
    assert {decided.nbr for decided in empty.decide(one.opportunities)} == {NoBid.NO_CAMPAIGN}
