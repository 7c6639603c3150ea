"""Settings come from a file and the environment; mistakes name the setting."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors.common.errors import ConfigurationError
from processors.ranking.settings import Placement
from streams.engine.driver import TopologyDriver
from streams.settings.loading import load_settings
from streams.settings.sections import KafkaSettings, Settings
from tests.support import event

NOW = 1_700_000_000_000


def test_defaults_need_nothing() -> None:
    assert load_settings(environment={}) == Settings()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "n.toml"
    file.write_text('[kafka]\nbrokers = "a:1"\ngroup = "g"\n[topics]\npartitions = 2\n')
    settings = load_settings(file, {"NEARSTREAM_KAFKA__BROKERS": "b:2,c:3"})
    assert (settings.kafka.brokers, settings.kafka.group, settings.topics.partitions) == ("b:2,c:3", "g", 2)


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "n.toml"
    file.write_text("[topics]\npartitions = 2\n")
    assert load_settings(environment={"NEARSTREAM_SETTINGS": str(file)}).topics.partitions == 2


def test_placements_are_a_list_of_tables(tmp_path: Path) -> None:
    file = tmp_path / "n.toml"
    file.write_text('[[users.ranking.placements]]\nname = "cart"\nonly_new = true\nsize = 5\n')
    assert load_settings(file, {}).users.ranking.placements == (Placement("cart", only_new=True, size=5),)


def test_other_variables_with_the_prefix_are_left_alone() -> None:
    names = ("TEST_BROKERS", "CACHE", "DATA", "REQUIRE_KAFKA", "FAUST_BROKER_URL", "KAFKA_PORT", "KAFKA_SERVICE_HOST")
    assert load_settings(environment={f"NEARSTREAM_{name}": "x" for name in names}) == Settings()


@pytest.mark.parametrize(
    ("variable", "right"),
    [
        ("NEARSTREAM_KAFKA_BROKERS", "NEARSTREAM_KAFKA__BROKERS"),
        ("NEARSTREAM_READ__MODEL__MAX_ITEMS", "NEARSTREAM_READ_MODEL__MAX_ITEMS"),
        ("NEARSTREAM_USERS__PROFILE_RECENT_ITEMS", "NEARSTREAM_USERS__PROFILE__RECENT_ITEMS"),
    ],
)
def test_a_setting_with_the_wrong_underscores_is_an_error(variable: str, right: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}: the setting is called {right}, "):
        load_settings(environment={variable: "1"})


def test_a_text_of_digits_needs_no_quotes() -> None:
    assert load_settings(environment={"NEARSTREAM_KAFKA__SASL_PASSWORD": "1234"}).kafka.sasl_password == "1234"


@pytest.mark.parametrize("brokers", ["", " , ", "kafka:port", "kafka:0", "kafka:70000", "a:1,b c"])
def test_brokers_that_are_no_addresses_are_an_error(brokers: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^NEARSTREAM_KAFKA__BROKERS: '.*', expected host:port, several"):
        load_settings(environment={"NEARSTREAM_KAFKA__BROKERS": brokers})


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"NEARSTREAM_USRES__X": "x"},
            "NEARSTREAM_USRES__X: no section usres; there are kafka, topics, worker, store, ",
        ),
        (
            {"NEARSTREAM_KAFKA__BROKRS": "x"},
            "NEARSTREAM_KAFKA__BROKRS: no setting brokrs in kafka; there are brokers, ",
        ),
        ({"NEARSTREAM_USERS__PROFILE": "x"}, "NEARSTREAM_USERS__PROFILE: users.profile is a section, not a setting"),
        ({"NEARSTREAM_TOPICS__PARTITIONS": "0"}, "NEARSTREAM_TOPICS__PARTITIONS: Expected `int` >= 1"),
        (
            {"NEARSTREAM_WORKER__PROCESSING_GUARANTEE": "maybe"},
            "NEARSTREAM_WORKER__PROCESSING_GUARANTEE: Invalid enum value",
        ),
        (
            {"NEARSTREAM_USERS__RANKING__PLACEMENTS": "[{size = 5}]"},
            "NEARSTREAM_USERS__RANKING__PLACEMENTS[0]: Object missing required field `name`",
        ),
        (
            {"NEARSTREAM_KAFKA": "x", "NEARSTREAM_KAFKA__BROKERS": "y", "NEARSTREAM_KAFKA__BROKERS__PORT": "1"},
            "NEARSTREAM_KAFKA__BROKERS__PORT: brokers is a setting, not a section",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment=variables)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "[usres]\nx = 1",
            "no section usres; there are kafka, topics, worker, store, money, users, items, models, read_model",
        ),
        ("kafka = 3", "kafka is a section, not a setting"),
        ("[users.profil]", "no section profil in users; there are intake, profile, ranking"),
        ("[topics]\npartition = 1", "no setting partition in topics; there are partitions, replication, "),
        ("[topics]\npartitions = 'many'", "topics.partitions: Expected `int`, got `str`"),
        ("[kafka]\nbrokers = ''", "kafka.brokers: '', expected host:port"),
    ],
)
def test_a_mistake_in_a_file_names_the_file(tmp_path: Path, toml: str, message: str) -> None:
    file = tmp_path / "n.toml"
    file.write_text(toml)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, {})
    assert str(caught.value).startswith(f"settings file {file}: {message}")


OUT_OF_RANGE = {
    "KAFKA__FETCH_MAX_WAIT_MS": ("0", "60000"),
    "TOPICS__REPLICATION": ("0", "40000"),
    "TOPICS__MAX_MESSAGE_BYTES": ("1000", "10000000000"),
    "WORKER__WEB_PORT": ("-1", "70000"),
    "WORKER__COMMIT_INTERVAL_MS": ("-1", "1e3"),
    "STORE__WRITE_BUFFER_BYTES": ("0", "1" + "0" * 30),
    "USERS__INTAKE__MAX_EVENT_BYTES": ("0",),
    "USERS__INTAKE__EARLIEST_MS": ("-1", "253402300800000"),
    "USERS__INTAKE__MAX_FUTURE_MS": ("-1", "1" + "0" * 30),
    "USERS__PROFILE__RECENT_ITEMS": ("0", "-1"),
    "USERS__PROFILE__OLDER_ITEMS": ("-1",),
    "USERS__PROFILE__INTERESTS": ("0", "-1"),
    "USERS__PROFILE__EVENT_IDS": ("0", "-1"),
    "USERS__PROFILE__INTEREST_HALF_LIFE_MS": ("-5", "0", "1", "999"),
    "USERS__PROFILE__SESSION_IDLE_MS": ("-1",),
    "USERS__PROFILE__WINDOW_ITEMS": ("-1", "128"),
    "ITEMS__NEIGHBOURS": ("0", "-1"),
    "ITEMS__PUBLISHED_NEIGHBOURS": ("0", "-1"),
    "ITEMS__NEIGHBOUR_HALF_LIFE_MS": ("0", "1"),
    "ITEMS__NEXT_DISTANCE": ("-1", "128"),
    "READ_MODEL__MAX_ITEMS": ("0",),
    "USERS__RANKING__TOGETHER": ("nan", "inf", "-inf"),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OUT_OF_RANGE.items() for value in values]
)
def test_a_figure_that_would_break_something_later_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment={f"NEARSTREAM_{name}": value})
    assert str(caught.value).startswith(f"NEARSTREAM_{name}: ")


def figures(type_: msgspec.inspect.Type, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(type_, msgspec.inspect.StructType):
        for field in type_.fields:
            yield from figures(field.type, f"{path}.{field.name}")
    elif isinstance(type_, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        yield path, type_


def test_every_figure_has_a_least_and_a_largest_value() -> None:
    without = [path for path, type_ in figures(msgspec.inspect.type_info(Settings), "") if None in (type_.ge, type_.le)]
    assert without == []


def test_sessions_may_be_paired_as_far_as_signals_can_say() -> None:
    profile = {"NEARSTREAM_USERS__PROFILE__WINDOW_ITEMS": "127", "NEARSTREAM_USERS__PROFILE__RECENT_ITEMS": "300"}
    driver = TopologyDriver(load_settings(environment=profile))
    for n in range(200):
        driver.pipe("events.click.v1", b"u", event(n, "u", f"i{n}", NOW + n), NOW + n)
    assert len(driver.read("recommendations.v1")) == 400


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml: No such file"):
        load_settings(tmp_path / "none.toml", {})


def test_bad_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "n.toml"
    file.write_text("[kafka\n")
    with pytest.raises(ConfigurationError, match=r"n\.toml: Expected"):
        load_settings(file, {})


def test_the_password_is_never_shown() -> None:
    assert "secret" not in repr(Settings(kafka=KafkaSettings(sasl_password="secret")))


def test_settings_without_a_placement_are_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "n.toml"
    file.write_text("[users.ranking]\nplacements = []\n")
    with pytest.raises(ConfigurationError, match=r"users\.ranking\.placements: Expected `array` of length >= 1"):
        load_settings(file, {})
