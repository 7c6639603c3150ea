"""What is written as JSON is what slates say, whatever their names hold."""

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.items.view import Listing
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.settings import RankingSettings
from processors.ranking.slate import SlateItem
from processors.ranking.slate_writer import SlateWriter, _decimal
from tests.processors.worlds import NOW, World, profile, random_world, view

seeds = st.integers(0, 2**32)


def check(world: World, locale: str = "en") -> list[list[SlateItem]]:
    settings = msgspec.structs.replace(world.settings, locale=locale)
    pipeline = RankingPipeline(settings)
    read, writer = world.read(pipeline.features), SlateWriter(pipeline.texts)
    slates = pipeline.rank(world.users, [NOW] * len(world.users), read, NOW)
    found = []
    for part in slates:
        # Twice, as the second time the names are known.
        for _ in range(2):
            written = writer.write(part, read)
            for row, text in enumerate(written):
                items = part.items(row, read)
                assert msgspec.json.decode(text, type=list[SlateItem]) == items
                assert json.loads(bytes(text)) == json.loads(msgspec.json.encode(items))
                found.append(items)
    return found


@given(seeds, st.sampled_from(["en", "zh"]))
def test_written_is_what_the_slates_say(seed: int, locale: str) -> None:
    check(random_world(seed), locale)


def test_names_are_escaped_wherever_they_stand() -> None:
    strange = ['a "tent"', "back\\slash", "new\nline", "日本", "{item}", "\ufffc", "e\u0301", "\x7f", "<&>"]
    views = {name: view(5.0 - n / 10, {strange[0]: (0.5, 0.5)}, category=name) for n, name in enumerate(strange)}
    titles = [*strange[1:], strange[0]]
    for name, title in zip(strange, titles, strict=True):
        views[name] = msgspec.structs.replace(views[name], listing=Listing(title=title))
    users = [profile(strange[1], strange[2]), profile(strange[1])]
    users[1].context = {"language": "zh"}
    (slate, *_) = check(World(views, users, RankingSettings()))
    assert {item.item_id for item in slate} == set(strange)
    kinds = {item.reasons[0].kind for item in slate}
    assert {"viewed_together", "viewed_before"} <= kinds


@pytest.mark.parametrize("jitted", [True, False])
@given(value=st.integers(-(10**12), 10**12) | st.sampled_from([0, 1, -1, 10**17, 999_999, 10**6]))
def test_decimals_are_written_exactly(jitted: bool, value: int) -> None:
    write = _decimal if jitted else getattr(_decimal, "py_func", _decimal)
    buffer = np.zeros(64, np.uint8)
    end = write(buffer, 0, value / 1e6)
    assert json.loads(buffer[:end].tobytes()) == (round(value / 1e6, 6) if abs(value) < 10**18 else None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e12])
def test_what_is_no_number_is_null(value: float) -> None:
    buffer = np.zeros(64, np.uint8)
    assert buffer[: _decimal(buffer, 0, value)].tobytes() == b"null"
