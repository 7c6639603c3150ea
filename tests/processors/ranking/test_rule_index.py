"""The index of rules follows what is published, up to its bound."""

from processors.ranking.rule_index import RuleIndex
from processors.ranking.rules import MAX_RULES, Items, Rule
from tests.processors.ranking.shop import PLAIN, home, shop
from tests.processors.worlds import NOW


def test_a_rule_can_be_withdrawn() -> None:
    world = shop(no=Rule("exclude", Items(ids=("tent",))))
    world.rules.apply("no", None)
    assert home(world) == PLAIN


def test_more_rules_than_there_may_be_are_refused() -> None:
    rules = RuleIndex()
    for n in range(MAX_RULES + 3):
        rules.apply(f"{n}", Rule("boost", Items(ids=("tent",)), factor=1.1))
    assert (len(rules), rules.refused) == (MAX_RULES, 3)
    rules.apply("0", Rule("exclude", Items(ids=("tent",))))
    assert (len(rules), rules.refused) == (MAX_RULES, 3), "a rule that is there can change"


def test_rules_that_match_nothing_are_named() -> None:
    world = shop(toys=Rule("exclude", Items(categories=("toys",))), tools=Rule("exclude", Items(categories=("tools",))))
    assert world.rules.useless(NOW, world.index()) == ["toys"]
