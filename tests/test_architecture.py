"""The page on how Nearstream is built names files that exist, every topic, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processors.common import topics

CHECKOUT = Path(__file__).resolve().parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    *(f"docs/{page}.md" for page in ("architecture", "glossary", "scaling", "events", "catalogue", "ads", "files")),
)


def text_of(page: str) -> str:
    return (CHECKOUT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text_of(page))
    folder = (CHECKOUT / page).parent
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    named = re.findall(r"`((?:processors|streams|state|bench|tests|docs|dashboards)/[\w/.]+?)`", text_of(page))
    assert [name for name in named if "NAME" not in name and not (CHECKOUT / name).exists()] == []


def test_the_picture_has_every_topic() -> None:
    (page,) = re.findall(r"```mermaid\nflowchart LR\n(.*?)```", text_of("docs/architecture.md"), flags=re.DOTALL)
    named = {value for name, value in vars(topics).items() if name.endswith("_TOPIC")}
    stems = {name.removesuffix(".v1").removeprefix("events.") for name in named} - {"internal.events"}
    assert {stem for stem in stems if stem not in page} == set()


def test_every_room_is_on_the_page() -> None:
    page = text_of("docs/architecture.md")
    rooms = [
        f"{house}/{room.name}"
        for house in ("processors", "streams")
        for room in (CHECKOUT / house).iterdir()
        if (room / "__init__.py").exists()
    ]
    assert len(rooms) > 15
    assert [room for room in rooms if f"](../{room}" not in page] == []
