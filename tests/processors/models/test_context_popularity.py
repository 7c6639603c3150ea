"""New users get what people choose who come in the same circumstances."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.events.event import Context, Event
from processors.models.context_popularity import ChosenIn, ContextLearner, ContextsSettings, ContextsState, chosen_in
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings

NOW = 1_700_000_000_000
SMALL = ContextsSettings(contexts=2, items=4, published_items=2, fewest_choices=2, fading_choices=8)


def event(item: str, channel: str | None = None, **context: str) -> Event:
    return Event(
        event_id="e",
        user_id="u",
        item_id=item,
        time_ms=NOW,
        kind="click",
        action="click",
        channel=channel,
        context=Context(**context) if context else None,
    )


def test_choices_are_counted_of_the_first_users_with_a_context() -> None:
    events = [event("tent"), event("lamp", country="DE", city="Kiel"), event("mat", "mail"), event("box", page="/")]
    nothing = [()] * 4
    assert chosen_in([{}] * 4, nothing, events) == ChosenIn(("country:DE", "channel:mail"), ("lamp", "mat"))
    before = [{}, {"device": "phone"}, {}, {}]
    assert chosen_in(before, nothing, events).contexts == ("country:DE", "device:phone", "channel:mail")


def test_a_return_to_an_item_is_no_further_choice() -> None:
    events = [event("tent", "mail"), event("tent", "mail"), event("lamp", "mail")]
    found = chosen_in([{}] * 3, [["tent", "mat"], ["mat"], []], events)
    assert found == ChosenIn(("channel:mail", "channel:mail"), ("tent", "lamp"))


@given(
    st.lists(st.tuples(st.sampled_from(["country:A", "country:B", "device:C", "page:D"]), st.sampled_from("abcdef")))
)
def test_counts_stay_bounded_and_what_is_published_was_chosen(choices: list[tuple[str, str]]) -> None:
    keeper, state = ContextLearner(SMALL), ContextsState()
    for name, item in choices:
        keeper.learn(state, ChosenIn((name,), (item,)))
    assert all(sum(name.startswith(field) for name in state.counts) <= 2 for field in ("country", "device", "page"))
    assert all(len(counts.items) <= 4 and counts.choices < 8 for counts in state.counts.values())
    for name, view in keeper.view(state).items():
        assert len(view.items) <= 2
        assert {(name, item) for item in view.items} <= set(choices)
        assert view.weights[0] == 1.0 >= min(view.weights) > 0.0
        assert all(choices.count((name, item)) >= 2 for item in view.items)


def test_the_context_with_the_fewest_choices_goes_and_none_of_another_kind() -> None:
    keeper, state = ContextLearner(SMALL), ContextsState()
    for name in ("country:A", "country:B", "country:A", "page:1", "page:2", "page:3", "page:4", "country:C"):
        keeper.learn(state, ChosenIn((name,), ("tent",)))
    assert [name for name in state.counts if name.startswith("country")] == ["country:A", "country:C"]
    assert len(state.counts) == 4


@pytest.mark.parametrize(
    "chosen",
    [
        ChosenIn(("country:A",), ("x" * 300,)),
        ChosenIn(("country:A",) * 11, ("tent",) * 11),
        *[ChosenIn(("country:A",), ()), ChosenIn(("shoe:9",), ("tent",)), ChosenIn(("page:" + "x" * 99,), ("tent",))],
    ],
)
def test_choices_that_cannot_be_are_refused(chosen: ChosenIn) -> None:
    with pytest.raises(ValueError, match=r"^contexts: "):
        chosen.check()


def clicks() -> Iterator[tuple[str, str, str]]:
    """User, item, country: one country likes boots, the other sandals; a flyer is what everybody comes by."""
    for n in range(150):
        country, likes = (("NO", "boots"), ("ES", "sandals"))[n % 2]
        yield f"u{n}", "flyer", country
        yield f"u{n}", f"{likes} {n // 2 % 5}", country


def home_of_newcomer(country: str) -> list[dict[str, object]]:
    driver = TopologyDriver(Settings())
    events = [*clicks(), ("newcomer", "flyer", country)]
    for n, (user, item, of) in enumerate(events):
        at = NOW + 1000 * n
        value = {"event_id": f"e{n}", "user_id": user, "item_id": item, "timestamp": at, "context": {"country": of}}
        driver.pipe("events.click.v1", user.encode(), json.dumps(value).encode(), at)
    messages = [json.loads(record.value or b"") for record in driver.read("recommendations.v1")]
    (home,) = [m for m in messages if m["user_id"] == "newcomer" and m["placement"] == "home"]
    items: list[dict[str, object]] = home["items"]
    return items


@pytest.mark.parametrize(("country", "liked", "other"), [("NO", "boots", "sandals"), ("ES", "sandals", "boots")])
def test_newcomers_get_what_their_country_likes(country: str, liked: str, other: str) -> None:
    items = home_of_newcomer(country)
    first = [str(item["item_id"]) for item in items if item["item_id"] != "flyer"][:5]
    assert all(name.startswith(liked) for name in first), first
    assert any(name.startswith(other) for name in (str(item["item_id"]) for item in items))
