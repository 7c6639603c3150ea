"""The glossary explains each term once, in order, on a line of its own, and sends readers to places that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES = [line for line in (ROOT / "docs/glossary.md").read_text("utf-8").splitlines() if line.startswith("-")]
TERMS = [line.partition("**")[2].partition("**")[0] for line in LINES]
PLACE = re.compile(r"`((?:bench|docs|processors|state|streams|tests)[./][\w./-]+)`")


def is_there(place: str) -> bool:
    """Whether a path, or else a dotted module, is in the repository."""
    as_path = ROOT / place
    as_module = ROOT / place.replace(".", "/")
    return as_path.exists() or as_module.with_suffix(".py").exists() or (as_module / "__init__.py").exists()


def test_every_line_after_the_heading_is_a_term_and_its_meaning() -> None:
    heading, *rest = (ROOT / "docs/glossary.md").read_text("utf-8").split("\n- ")
    assert heading.startswith("# Glossary\n")
    assert len(rest) == len(LINES) >= 60
    assert [line for line in LINES if not re.fullmatch(r"- \*\*[^*]+\*\* — \S.{10,}", line)] == []
    assert [entry for entry in rest if "\n" in entry.rstrip("\n")] == []


def test_terms_are_sorted_and_unique() -> None:
    lowered = [term.casefold() for term in TERMS]
    assert lowered == sorted(lowered)
    assert len(lowered) == len(set(lowered))


@pytest.mark.parametrize("line", LINES, ids=TERMS)
def test_a_term_names_where_it_lives_and_that_is_there(line: str) -> None:
    places = PLACE.findall(line)
    assert places, "the line names no file or room"
    assert [place for place in places if not is_there(place)] == []


def test_modules_are_told_from_what_is_not_there() -> None:
    assert is_there("processors.users.profile")
    assert is_there("processors.users")
    assert not is_there("processors.users.habits")
    assert not is_there("processors/users/habits.py")
