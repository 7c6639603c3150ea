"""Settings come from a file and the environment; mistakes name the setting."""

from pathlib import Path

import pytest

from processors.errors import ConfigurationError
from processors.slate import Placement
from streams.settings import KafkaSettings, Settings, load_settings


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
        ("[usres]\nx = 1", "no section usres; there are kafka, topics, worker, store, users, items, read_model"),
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
