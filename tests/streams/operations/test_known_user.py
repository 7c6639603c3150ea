"""What would be shown to a user, and why an item is not, from the read models of a system."""

import json
from contextlib import nullcontext
from hashlib import sha1

import pytest
from typer.testing import CliRunner, Result

from processors.users.profile import Profile
from streams.cli import app, connections
from streams.engine.driver import TopologyDriver
from streams.operations import known_user, present, why_not
from streams.operations.why_not import near_id

AT = 1_700_000_000_000


@pytest.fixture(autouse=True)
def _system(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system with three items, which knows ada."""
    driver = TopologyDriver()
    for n, item in enumerate(("wool-sock-1", "tent-1", "lamp-1")):
        event = {"event_id": f"e{n}", "user_id": "ada", "item_id": item, "timestamp": AT + n}
        driver.pipe("events.click.v1", b"ada", json.dumps(event).encode(), at=AT + n)
    driver.flush()
    for module in (known_user, why_not):
        monkeypatch.setattr(module, "read_topology", lambda *_: driver.topology)
    for module in (known_user, present):
        monkeypatch.setattr(module, "read_profile", lambda *args: Profile() if args[-1] == "ada" else None)
    monkeypatch.setattr(connections, "consuming", lambda _: nullcontext())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_a_stranger_is_named_as_one() -> None:
    known, stranger = run("recommend", "ada"), run("recommend", "adaa")
    assert (known.exit_code, known.stderr) == (0, "")
    assert stranger.stderr == "user 'adaa' is not known: this is what a stranger is shown\n"
    assert stranger.stdout.startswith("home:")
    found = [json.loads(run("recommend", user, "--json").stdout) for user in ("ada", "adaa")]
    assert [(one["user_id"], one["known"], list(one["placements"])) for one in found] == [
        ("ada", True, ["home", "discover"]),
        ("adaa", False, ["home", "discover"]),
    ]


def test_a_placement_with_an_item_says_how_it_is_asked_for() -> None:
    result = run("recommend", "ada", "--placement", "related")
    assert (result.exit_code, result.stderr) == (
        1,
        "error: placement: 'related', expected one of home, discover; related and together go with an item: "
        "`nearstream send slate --user USER --placement related --item ITEM` asks a worker\n",
    )


@pytest.mark.parametrize(
    ("item", "code", "ends"),
    [
        ("wool-sok-1", 1, "fell out of the item index; did you mean wool-sock-1?"),
        ("zzz", 1, "fell out of the item index"),
    ],
)
def test_an_item_that_is_not_known_fails_and_the_one_meant_is_named(item: str, code: int, ends: str) -> None:
    result = run("why-not", item, "--user", "ada")
    assert (result.exit_code, [line.endswith(ends) for line in result.stdout.splitlines()]) == (code, [True, True])
    parts = [json.loads(line) for line in run("why-not", item, "--user", "ada", "--json").stdout.splitlines()]
    assert [part["stage"] for part in parts] == ["unknown", "unknown"]


def test_an_item_that_is_known_does_not_fail() -> None:
    assert run("why-not", "wool-sock-1", "--user", "ada").exit_code == 0


def test_few_ids_are_compared() -> None:
    ids = [sha1(b"%d" % n).hexdigest() for n in range(100_000)]
    assert near_id(f"{ids[-1][:20]}{ids[-1][21:]}", ids) == ids[-1]
    assert near_id("y" * 100_000, ["y" * 99_999]) is None
