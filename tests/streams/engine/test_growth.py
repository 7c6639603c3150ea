"""Ranking for a user and taking in an event do the same work with few and with many items, users and campaigns.

Work is counted, not timed (:mod:`tests.work`), in a process of its own (:mod:`tests.streams.engine.growing`). It may
grow by less than the smallest pass over all would add: one that computes a byte or more for each, or reads eight.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.streams.engine.growing import FEW, FEW_CAMPAIGNS, MANY, MANY_CAMPAIGNS
from tests.work import Work

ALLOCATED_PER_ITEM, TOUCHED_PER_ITEM = 0.5, 6.0
ALLOCATED_PER_CAMPAIGN = 16.0

Works = dict[str, tuple[Work, Work]]


@pytest.fixture(scope="module")
def works() -> Works:
    """By name: what is done with few, and what with many."""
    program = [sys.executable, "-m", "tests.streams.engine.growing"]
    # Fixed hashes: where the entries of a dict lie decides how many pages are touched.
    done = subprocess.run(
        program, env={**os.environ, "PYTHONHASHSEED": "0"}, stdout=subprocess.PIPE, text=True, check=True
    )
    return {name: (Work(*few), Work(*many)) for name, (few, many) in json.loads(done.stdout).items()}


def allocated_more(works: Works, name: str) -> int:
    few, many = works[name]
    return many.allocated - few.allocated


def touched_more(works: Works, name: str) -> int:
    few, many = works[name]
    if few.touched is None or many.touched is None:
        pytest.skip("the kernel does not tell which memory is touched")
    return many.touched - few.touched


SELECTS = pytest.mark.xfail(reason="a rule without ids and categories looks at all items: _named", strict=True)
RULE = pytest.param("rank with items and a rule", marks=SELECTS)


@pytest.mark.parametrize("name", ["rank with items", "event with items", RULE, "event with users"])
def test_no_more_is_allocated(works: Works, name: str) -> None:
    assert allocated_more(works, name) < ALLOCATED_PER_ITEM * (MANY - FEW)


@pytest.mark.parametrize("name", ["rank with items", "event with items", RULE, "event with users"])
def test_no_more_is_touched(works: Works, name: str) -> None:
    assert touched_more(works, name) < TOUCHED_PER_ITEM * (MANY - FEW)


@pytest.mark.xfail(reason="a decision looks at every campaign, and each counts the opportunity", strict=True)
def test_no_more_is_allocated_with_more_campaigns(works: Works) -> None:
    assert allocated_more(works, "event with campaigns") < ALLOCATED_PER_CAMPAIGN * (MANY_CAMPAIGNS - FEW_CAMPAIGNS)


def test_a_stage_that_computes_something_for_all_items_is_found(works: Works) -> None:
    assert allocated_more(works, "computes") > ALLOCATED_PER_ITEM * (MANY - FEW)


@pytest.mark.parametrize("name", ["reads", "loops"])
def test_a_stage_that_only_looks_at_all_items_is_found(works: Works, name: str) -> None:
    assert allocated_more(works, name) < ALLOCATED_PER_ITEM * (MANY - FEW)
    assert touched_more(works, name) > TOUCHED_PER_ITEM * (MANY - FEW)
