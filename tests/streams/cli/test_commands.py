"""The command line without a broker: help, options, errors, and what the tools make of their input."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.text import Text
from typer.core import TyperGroup
from typer.testing import CliRunner

from processors.events.event_types import EVENT_TYPES
from streams.cli import app
from streams.cli.send import TYPES

NOWHERE = {"NEARSTREAM_KAFKA__BROKERS": "127.0.0.1:1"}
HEAVY = {"aiohttp", "aiokafka", "bench.throughput", "faust", "kafka", "msgspec", "numba", "numpy", "rich.progress"}
HEAVY |= {"river", "rocksdict", "scipy"}

runner = CliRunner()


def test_help_groups_the_commands() -> None:
    words = runner.invoke(app, ["--help"], env={"COLUMNS": "120", "TERM": "dumb"}).stdout.split()
    expected = ["Run", "worker", "Try", "demo", "send", "replay", "Look", "tail", "topics", "doctor"]
    expected += ["Measure", "evaluate", "bench"]
    positions = [words.index(word, words.index("--help")) for word in expected]
    assert positions == sorted(positions)


ROOT = typer.main.get_command(app)
COMMANDS = ROOT.commands if isinstance(ROOT, TyperGroup) else {}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_examples(command: str) -> None:
    assert f"nearstream {command}" in runner.invoke(app, [command, "--help"]).stdout.partition("Examples")[2]


def own_lines(command: Any) -> list[str]:
    """Lines of a command's help and epilog that are to stay as they are; the first paragraph of the help may flow."""
    _, _, rest = (command.help or "").partition("\n\n")
    text = f"{rest}\n{Text.from_markup(command.epilog or '')}"
    return [line for line in map(str.strip, text.splitlines()) if line]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_no_line_of_help_is_broken_at_80_columns(command: str | None) -> None:
    arguments = [command, "--help"] if command else ["--help"]
    shown = runner.invoke(app, arguments, env={"COLUMNS": "80", "TERM": "dumb"}).stdout
    lines = {line.strip() for line in shown.splitlines()}
    assert [line for line in own_lines(COMMANDS[command] if command else ROOT) if line not in lines] == []


def loaded_by(program: str) -> set[str]:
    """Run a program in a process of its own, and return the modules that it has loaded in the end."""
    program = f"import atexit, sys; atexit.register(lambda: print('\\nloaded:', *sys.modules)); {program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("loaded:")[2].split())


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_by("import streams.cli; sys.argv[1:] = ['--help']; streams.cli.main()")
    assert "streams.cli.worker" in loaded
    assert HEAVY & loaded == set()


def test_a_worker_leaves_out_what_takes_a_second_to_load_and_is_not_needed() -> None:
    loaded = loaded_by("from streams.worker.process import _settle; _settle()")
    assert {"numba", "river.stats"} <= loaded
    assert {"river.bandit", "river.drift", "river.metrics", "scipy.stats"} & loaded == set()


def test_version_is_that_of_the_package() -> None:
    assert runner.invoke(app, ["--version"]).stdout == "nearstream 0.1.0\n"


@pytest.mark.parametrize("word", ["version", "help"])
def test_an_option_that_is_taken_for_a_command_is_named(word: str) -> None:
    result = runner.invoke(app, [word], prog_name="nearstream", env={"COLUMNS": "120"})
    assert (result.exit_code, f"it is an option, nearstream --{word}." in result.stderr) == (2, True)


def test_an_error_is_one_line_without_traceback() -> None:
    result = runner.invoke(app, ["topics"], env=NOWHERE)
    assert result.stderr.startswith("error: Kafka at 127.0.0.1:1 does not answer: Connection refused.")
    assert (result.exit_code, result.stderr.count("\n"), result.stdout) == (1, 1, "")


def test_a_wrong_setting_exits_with_2() -> None:
    result = runner.invoke(app, ["topics"], env={"NEARSTREAM_TOPICS__PARTITIONS": "many"})
    assert (result.exit_code, result.stderr) == (
        2,
        "error: NEARSTREAM_TOPICS__PARTITIONS: Expected `int`, got `str`\n",
    )


def test_debug_lets_the_error_through() -> None:
    result = runner.invoke(app, ["--debug", "topics", "--settings", "/no/such/file.toml"])
    assert type(result.exception).__name__ == "ConfigurationError"


@pytest.mark.parametrize("args", [["--brokers", "127.0.0.1:2", "topics"], ["topics", "--brokers=127.0.0.1:2"]])
def test_global_options_go_before_and_after_the_command(args: list[str]) -> None:
    assert "Kafka at 127.0.0.1:2 " in runner.invoke(app, args, env=NOWHERE).stderr


def test_brokers_that_are_no_addresses_are_named_as_the_option_they_were() -> None:
    result = runner.invoke(app, ["--brokers", "kafka:port", "doctor", "--json"])
    (check,) = json.loads(result.stdout)["checks"]
    assert check["message"] == "--brokers: 'kafka:port', expected host:port, several separated by commas"


def test_the_settings_file_holds_where_neither_option_nor_environment_does(tmp_path: Path) -> None:
    file = tmp_path / "nearstream.toml"
    file.write_text('[kafka]\nbrokers = "127.0.0.1:3"\n')
    env = {"NEARSTREAM_KAFKA__BROKERS": None}
    assert "Kafka at 127.0.0.1:3 " in runner.invoke(app, ["topics", "--settings", str(file)], env=env).stderr


def test_send_needs_a_known_type() -> None:
    result = runner.invoke(app, ["send", "wink", "--user", "u", "--item", "i"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert (
        "'wink', expected browse, view, rate, click, cart, fav, purchase, refund, dismiss, impression, request or slate"
        in result.stderr
    )


@pytest.mark.parametrize(
    ("name", "kinds", "said"),
    [
        ("ev.jsonl", ["click"], "nearstream replay ev.jsonl, or nearstream send click < ev.jsonl"),
        ("ev.jsonl", [], "nearstream replay ev.jsonl, or nearstream send < ev.jsonl"),
        ("my ev.csv", ["click"], "nearstream replay 'my ev.csv'"),
        ("ev.jsonl.gz", [], "nearstream replay ev.jsonl.gz"),
    ],
)
def test_send_says_how_the_events_of_a_file_are_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kinds: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("")
    result = runner.invoke(app, ["send", *kinds, name], env={"COLUMNS": "200"})
    (line,) = (line.strip("│ ") for line in result.stderr.splitlines() if "replay" in line)
    assert (result.exit_code, line) == (
        2,
        f"Invalid value for {'FILE' if kinds else 'TYPE'}: events of a file: {said}",
    )


def test_send_offers_every_type_there_is() -> None:
    assert TYPES.replace(" or ", ", ").split(", ") == list(EVENT_TYPES)


def test_send_asks_what_happened_if_that_is_not_said() -> None:
    result = runner.invoke(app, ["send", "--user", "u", "--item", "i"], env={"COLUMNS": "200"})
    assert (result.exit_code, f"say what happened: {TYPES}" in result.stderr) == (2, True)


def test_doctor_names_a_wrong_setting() -> None:
    result = runner.invoke(app, ["doctor", "--json"], env={"NEARSTREAM_KAFKA__BROKRS": "x"})
    (check,) = json.loads(result.stdout)["checks"]
    assert (result.exit_code, check["name"], check["status"]) == (1, "settings", "fail")
    assert check["message"].startswith("NEARSTREAM_KAFKA__BROKRS: no setting brokrs in kafka; there are brokers, ")


def test_doctor_without_brokers_still_checks_the_rest() -> None:
    result = runner.invoke(app, ["doctor", "--json"], env={**NOWHERE, "NEARSTREAM_WORKER__WEB_PORT": "0"})
    checks = json.loads(result.stdout)["checks"]
    assert [(check["name"], check["status"]) for check in checks] == [
        ("settings", "ok"),
        ("brokers", "fail"),
        ("state", "ok"),
        ("worker", "ok"),
    ]


def test_a_bad_event_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text("nonsense\n")
    result = runner.invoke(app, ["evaluate", str(file)])
    assert (result.exit_code, "1 of 1 lines cannot be read" in result.stderr, result.stderr.count("line 1: ")) == (
        1,
        True,
        1,
    )
