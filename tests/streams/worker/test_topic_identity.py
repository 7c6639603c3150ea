"""Stores and topics that belong together, and those that do not."""

from pathlib import Path

import pytest

from processors.common.errors import StateError
from streams.settings.sections import Settings
from streams.worker.topic_identity import check_source_end, compare_topic_ids


def test_topic_ids_are_noted_once_and_held_to(tmp_path: Path) -> None:
    compare_topic_ids(tmp_path, {"a": "1"}, ["a"])
    compare_topic_ids(tmp_path, {"a": "1", "b": "2"}, ["a"])
    compare_topic_ids(tmp_path, {}, ["a"])
    with pytest.raises(StateError, match=r"a is not the topic .* to follow it"):
        compare_topic_ids(tmp_path, {"a": "3", "b": "2"}, ["a"])
    with pytest.raises(StateError, match=r"b is not the topic .* start anew: delete .* the changelog topics"):
        compare_topic_ids(tmp_path, {"a": "1", "b": "3"}, ["a"])


def test_a_look_without_a_note_leaves_none(tmp_path: Path) -> None:
    compare_topic_ids(tmp_path, {"a": "1"}, ["a"], note=False)
    compare_topic_ids(tmp_path, {"a": "2"}, ["a"])
    with pytest.raises(StateError, match="a is not the topic"):
        compare_topic_ids(tmp_path, {"a": "1"}, ["a"], note=False)


def test_a_source_must_reach_as_far_as_it_was_applied() -> None:
    check_source_end(Settings(), "a", 3, offset=7, end=7)
    with pytest.raises(StateError, match=r"a\[3\] ends at 6, but it has been applied up to 7"):
        check_source_end(Settings(), "a", 3, offset=7, end=6)
