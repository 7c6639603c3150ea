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
    assert load_settings(environment={"NEARSTREAM_TEST_BROKERS": "x", "NEARSTREAM_CACHE": "y"}) == Settings()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"NEARSTREAM_KAFKA__BROKRS": "x"}, "kafka: Object contains unknown field `brokrs`"),
        ({"NEARSTREAM_TOPICS__PARTITIONS": "0"}, "topics.partitions: Expected `int` >= 1"),
        ({"NEARSTREAM_WORKER__PROCESSING_GUARANTEE": "maybe"}, "worker.processing_guarantee: Invalid enum value"),
        ({"NEARSTREAM_USERS__PROFILE__RECENT_ITEMS": "many"}, "users.profile.recent_items: Expected `int`"),
        (
            {"NEARSTREAM_KAFKA": "x", "NEARSTREAM_KAFKA__BROKERS": "y", "NEARSTREAM_KAFKA__BROKERS__PORT": "1"},
            "NEARSTREAM_KAFKA__BROKERS__PORT: brokers is a setting, not a section",
        ),
    ],
)
def test_a_mistake_names_the_setting(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment=variables)
    assert str(caught.value).startswith(message)


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
