"""What is no rule is refused with the reason, and rules that contradict each other are named."""

import re
from collections.abc import Sequence

import pytest

from processors.common.topics import BROADCAST_RULES_TOPIC, DEAD_LETTERS_TOPIC, RULES_TOPIC
from processors.events.record import Record
from processors.models.state import ModelsSettings, ModelState
from processors.planes.models import ModelsPlane
from processors.ranking.rule_index import decode_rule
from processors.ranking.rule_precedence import conflicts
from processors.ranking.rules import Items, Rule, read_rule
from tests.processors.worlds import NOW

BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "value: "),
    "no kind": (b"{}", "missing required field `kind`"),
    "an unknown kind": (b'{"kind":"hide","items":{"ids":["a"]}}', "Invalid enum value 'hide' - at `$.kind`"),
    "an unknown field": (b'{"kind":"exclude","item":{}}', "unknown field item: did you mean items?"),
    "a field of the items outside": (b'{"kind":"exclude","ids":["tent"]}', "ids belongs in items"),
    "a wrong type": (b'{"kind":"exclude","items":{"ids":"tent"}}', "Expected `array`, got `str` - at `$.items.ids`"),
    "no items": (b'{"kind":"exclude"}', "items: empty, expected something to tell items by"),
    "a pin without a position": (b'{"kind":"pin","items":{"ids":["a"]}}', "position: missing"),
    "a pin of two": (b'{"kind":"pin","items":{"ids":["a","b"]},"position":1}', "items.ids: 2 names, expected one"),
    "a position too far": (b'{"kind":"pin","items":{"ids":["a"]},"position":101}', "<= 100 - at `$.position`"),
    "a factor on a pin": (b'{"kind":"pin","items":{"ids":["a"]},"position":1,"factor":2}', "factor: 2.0, expected for"),
    "a boost of nothing": (b'{"kind":"boost","items":{"ids":["a"]},"factor":0}', "`$.factor`"),
    "a cap without a label": (b'{"kind":"cap","at_most":1}', "per: missing"),
    "a range upside down": (
        b'{"kind":"exclude","items":{"price_min":9,"price_max":1}}',
        "items.price_min: 9.0",
    ),
    "no time zone": (b'{"kind":"exclude","items":{"ids":["a"]},"ends_at":"2025-01-01T00:00:00"}', "ends_at: "),
    "over before it begins": (
        b'{"kind":"exclude","items":{"ids":["a"]},"starts_at":"2025-01-02T00:00:00Z","ends_at":"2025-01-01T00:00:00Z"}',
        "ends_at: 2025-01-01T00:00:00+00:00, expected after starts_at",
    ),
    "ignored for nothing": (
        b'{"kind":"exclude","items":{"ids":["a"]},"ignored_when_empty":true}',
        "ignored_when_empty",
    ),
}


@pytest.mark.parametrize(("raw", "said"), BAD.values(), ids=BAD)
def test_what_is_no_rule_says_why(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_rule(raw)


def passed(key: bytes | None, value: bytes | None) -> tuple[str, bytes | None]:
    plane = ModelsPlane(ModelsSettings())

    def nothing_known(keys: Sequence[str], /) -> list[ModelState | None]:
        return [None for _ in keys]

    step = plane.step(nothing_known, [Record(RULES_TOPIC, 1, 7, NOW, key, value)], 1)
    (output,) = step.outputs
    assert (output.partition, output.key, step.states) == (1, key, {})
    return output.topic, output.value


def test_rules_that_make_sense_are_passed_on_and_others_become_dead_letters() -> None:
    raw = b'{"kind": "exclude", "items": {"ids": ["tent"]}}'
    topic, value = passed(b"no-tents", raw)
    assert (topic, decode_rule(value)) == (BROADCAST_RULES_TOPIC, Rule("exclude", Items(ids=("tent",))))
    assert passed(b"no-tents", None) == (BROADCAST_RULES_TOPIC, None)
    assert passed(b"no-tents", b"{}") == (DEAD_LETTERS_TOPIC, b"{}")
    for key in (None, b"", b"\xff", b"k" * 257):
        assert passed(key, raw)[0] == DEAD_LETTERS_TOPIC
    assert passed(b"huge", raw + b" " * 2**18)[0] == DEAD_LETTERS_TOPIC


def test_rules_for_different_placements_do_not_contradict_each_other() -> None:
    pin = Rule("pin", Items(ids=("tent",)), position=1, placements=("home",))
    no = Rule("exclude", Items(ids=("tent",)), placements=("discover",))
    assert conflicts({"a": pin, "b": no}) == []


def test_two_allow_lists_with_nothing_in_common_contradict_each_other() -> None:
    found = conflicts({"a": Rule("only", Items(ids=("tent",))), "b": Rule("only", Items(ids=("lamp",)))})
    assert len(found) == 1
    assert "allow nothing in common" in found[0]
