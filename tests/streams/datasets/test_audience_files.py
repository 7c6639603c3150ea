"""Files that say who is on which list: a row per user, and what is wrong with lines that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from streams.datasets.audience_files import Row, rows_of
from streams.datasets.files import EventFileError


def rows(tmp_path: Path, name: str, text: str | bytes) -> list[Row | str]:
    file = tmp_path / name
    raw = text if isinstance(text, bytes) else text.encode()
    file.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return [
        Row(row.where.removeprefix(f"{tmp_path}/"), row.user_id, row.value)
        if isinstance(row, Row)
        else row.removeprefix(f"{tmp_path}/")
        for row in rows_of(file)
    ]


@pytest.mark.parametrize("header", ["user_id,audience\n", "User_ID, Audience\n", ""])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz", "a.tsv.gz"])
def test_the_lines_of_a_user_become_one_row(tmp_path: Path, name: str, header: str) -> None:
    text = header + 'ada,vip\nbob,"news, daily"\nada,news\n\ncleo,\n'
    if "tsv" in name:
        text = text.replace('"news, daily"', "news; daily").replace(",", "\t").replace("news;", "news,")
    first = 2 if header else 1
    assert rows(tmp_path, name, text) == [
        Row(f"{name}, line {first}", "ada", b'{"audiences":["vip","news"]}'),
        Row(f"{name}, line {first + 1}", "bob", b'{"audiences":["news, daily"]}'),
        Row(f"{name}, line {first + 4}", "cleo", None),
    ]


def test_a_line_with_more_or_less_than_two_fields_is_named(tmp_path: Path) -> None:
    assert rows(tmp_path, "a.csv", "ada,vip\nbob\ncleo,a,b\n") == [
        "a.csv, line 2: 1 fields, expected user_id,audience",
        "a.csv, line 3: 3 fields, expected user_id,audience",
        Row("a.csv, line 1", "ada", b'{"audiences":["vip"]}'),
    ]


def test_lines_of_json_are_records_with_their_user(tmp_path: Path) -> None:
    text = '{"user_id": "ada", "audiences": ["vip"], "timestamp": 7}\n\n{"user_id": 8, "audiences": null}\n'
    assert rows(tmp_path, "a.jsonl", text + '{"user_id": "cleo", "audience": "vip"}\n') == [
        Row("a.jsonl, line 1", "ada", b'{"audiences":["vip"],"timestamp":7}'),
        Row("a.jsonl, line 3", "8", None),
        Row("a.jsonl, line 4", "cleo", b'{"audience":"vip"}'),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vip", "not_json: value: b'vip' is not JSON"),
        ("[1]", "not_an_object: value: [1], expected a JSON object"),
        ('{"audiences": ["vip"]}', "missing_field: user_id: missing, expected a non-empty text"),
        ('{"user_id": [], "audiences": []}', "wrong_type: user_id: [], expected a non-empty text"),
    ],
)
def test_a_line_that_names_no_user_is_named(tmp_path: Path, line: str, said: str) -> None:
    (found,) = rows(tmp_path, "a.jsonl", line)
    assert isinstance(found, str)
    assert found.startswith(f"a.jsonl, line 1: {said}")


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("a.xls", b"", "the format is not known; expected a name that ends with .csv"),
        ("a.csv", b"ada,\xff\n", "line 1: 'utf-8' codec can't decode byte 0xff"),
        ("a.csv.gz", b"", None),
    ],
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, raw: bytes, said: str | None) -> None:
    if said is None:
        (tmp_path / name).write_bytes(b"no gzip")
        with pytest.raises(EventFileError, match="is not a whole gzip file"):
            list(rows_of(tmp_path / name))
        return
    with pytest.raises(EventFileError, match=said):
        rows(tmp_path, name, raw)
