"""Event files: what is read from them, and what is said about those that cannot be read."""

import gzip
import json
from pathlib import Path

import pytest

from processors.events.event import EVENT_TOPICS
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from streams.datasets.event_files import FileEvent, read_events
from streams.datasets.files import EventFileError, count_events
from streams.datasets.layouts import BY_NAMES, Layout
from streams.datasets.reading import Reading

A_TIME = "ISO-8601, or seconds, milliseconds, microseconds or nanoseconds since 1970"
KINDS = "browse, view, rate, click, cart, fav, purchase, refund, dismiss, impression"
HEADER = "user_id,item_id,event_type,timestamp,price,category"


def written(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    raw = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return path


def test_an_impression_of_several_items_is_an_event_of_its_own_topic(tmp_path: Path) -> None:
    one = '{"type": "impression", "user_id": "u", "items": ["a", "b"], "timestamp": 5}'
    path = written(tmp_path, "shop.jsonl", one, one.replace('"items": ["a", "b"]', '"item_id": "a"'))
    listed, single = read_events(path)
    assert (listed.topic, listed.key, single.topic) == ("events.impression.v1", b"u", "events.impression.v1")
    assert json.loads(listed.value) == {"user_id": "u", "items": ["a", "b"], "timestamp": 5000, "event_id": "shop:1"}
    with pytest.raises(EventFileError, match="line 1: item_id: missing, expected a non-empty text"):
        list(read_events(written(tmp_path, "bad.jsonl", one.replace("items", "things"))))


def values(path: Path) -> list[dict[str, object]]:
    return [json.loads(event.value) for event in read_events(path)]


def test_a_row_becomes_a_native_event(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", HEADER, "u1,i1,view,1396314141.719,9.5,tents")
    value = (
        b'{"event_id":"shop:2","user_id":"u1","item_id":"i1","timestamp":1396314141719,'
        b'"action":"view","price":9.5,"category":"tents"}'
    )
    assert list(read_events(path)) == [FileEvent("events.browse.v1", b"u1", value, 1396314141719)]


@pytest.mark.parametrize(
    ("kind", "topic"),
    [
        ("view", "events.browse.v1"),
        ("rate", "events.browse.v1"),
        ("click", "events.click.v1"),
        ("cart", "events.click.v1"),
        ("fav", "events.click.v1"),
        ("purchase", "events.purchase.v1"),
    ],
)
def test_the_type_decides_the_topic_and_is_kept_as_action(tmp_path: Path, kind: str, topic: str) -> None:
    (event,) = read_events(written(tmp_path, "shop.csv", HEADER, f"u,i,{kind},1,,"))
    assert (event.topic, json.loads(event.value)["action"]) == (topic, kind)


def test_empty_price_and_category_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", HEADER, "u,i,view,1,,")
    assert values(path) == [{"event_id": "shop:2", "user_id": "u", "item_id": "i", "timestamp": 1000, "action": "view"}]


def test_columns_at_the_end_may_be_left_off(tmp_path: Path) -> None:
    whole = written(tmp_path, "shop.csv", HEADER, "u,i,view,1,9.5,", "u,i,view,1,,")
    expected = values(whole)
    assert values(written(tmp_path, "shop.csv", HEADER, "u,i,view,1,9.5", "u,i,view,1")) == expected


@pytest.mark.parametrize("header", ["user_id,item_id,timestamp,rating", "user_id,item_id,timestamp,event_type"])
def test_what_tells_the_type_may_not_be_left_off(tmp_path: Path, header: str) -> None:
    with pytest.raises(EventFileError, match=r"line 2: line: '3 columns', expected 4 as in the header$"):
        list(read_events(written(tmp_path, "shop.csv", header, "u,i,1")))
    (event,) = read_events(written(tmp_path, "shop.csv", header, "u,i,1"), layout=Layout(kind="cart"))
    assert json.loads(event.value)["action"] == "cart"


def test_a_rating_is_no_price(tmp_path: Path) -> None:
    path = written(tmp_path, "films.csv", HEADER, "u,i,rate,1,5,drama")
    assert values(path)[0].keys() == {"event_id", "user_id", "item_id", "timestamp", "action", "category"}


def test_two_readings_give_the_same_ids(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", HEADER, "u,i,view,1,,", "u,i,view,1,,")
    assert [value["event_id"] for value in values(path) + values(path)] == ["shop:2", "shop:3", "shop:2", "shop:3"]


def test_columns_may_come_in_any_order_without_the_optional_ones(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", "timestamp,event_type,user_id,item_id", "2,cart,u,i")
    assert values(path) == [{"event_id": "shop:2", "user_id": "u", "item_id": "i", "timestamp": 2000, "action": "cart"}]


def test_a_byte_order_mark_is_not_part_of_the_header(tmp_path: Path) -> None:
    assert len(values(written(tmp_path, "shop.csv", "\ufeff" + HEADER, "u,i,view,1,,"))) == 1


def test_gzip_gives_the_same_events(tmp_path: Path) -> None:
    lines = HEADER, "u,i,view,1,2,c", "v,j,cart,2,,"
    plain, packed = written(tmp_path, "shop.csv", *lines), written(tmp_path, "shop.csv.gz", *lines)
    assert list(read_events(packed)) == list(read_events(plain))


def test_events_keep_the_order_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", HEADER, "u,i,view,9,,", "u,i,view,3,,", "u,i,view,6,,")
    assert [event.time_ms for event in read_events(path)] == [9000, 3000, 6000]


def test_the_limit_ends_the_reading(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", HEADER, *["u,i,view,1,,"] * 5)
    assert len(list(read_events(path, limit=3))) == 3


@pytest.mark.parametrize("name", ["topic", "event_type", "type"])
def test_a_json_line_may_say_where_it_goes_in_three_ways(tmp_path: Path, name: str) -> None:
    said = "events.purchase.v1" if name == "topic" else "purchase"
    line = json.dumps({name: said, "user_id": "u", "item_id": "i", "timestamp": 5})
    (event,) = read_events(written(tmp_path, "shop.jsonl", line))
    assert event.topic == "events.purchase.v1"


def test_a_json_line_keeps_its_fields(tmp_path: Path) -> None:
    fields = {
        "event_id": "e7",
        "user_id": "u",
        "item_id": "i",
        "timestamp": 1_700_000_000_000,
        "brand": "Fornello",
        "shelf": [1],
    }
    path = written(tmp_path, "shop.jsonl", json.dumps({**fields, "topic": "events.click.v1"}))
    assert values(path) == [fields]


def test_a_json_line_without_id_gets_one_of_file_and_line(tmp_path: Path) -> None:
    line = '{"type": "cart", "user_id": "u", "item_id": "i", "timestamp": 5}'
    path = written(tmp_path, "shop.jsonl.gz", "", line)
    assert values(path) == [{"event_id": "shop:2", "user_id": "u", "item_id": "i", "timestamp": 5000, "action": "cart"}]


def test_a_json_time_may_be_iso(tmp_path: Path) -> None:
    line = '{"type": "view", "user_id": "u", "item_id": "i", "timestamp": "2023-11-14T22:13:20.123Z"}'
    (event,) = read_events(written(tmp_path, "shop.jsonl", line))
    assert event.time_ms == 1_700_000_000_123


def test_a_number_as_user_is_a_key_of_digits(tmp_path: Path) -> None:
    line = '{"type": "view", "user_id": 42, "item_id": "i", "timestamp": 5}'
    (event,) = read_events(written(tmp_path, "shop.jsonl", line))
    assert event.key == b"42"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "u,i,wink,1,,",
            f"event_type: 'wink', expected one of {KINDS}",
        ),
        (",i,view,1,,", "user_id: '', expected a non-empty id"),
        ("u,,view,1,,", "item_id: '', expected a non-empty id"),
        ("u,i,view,soon,,", f"timestamp: 'soon', expected {A_TIME}"),
        ("u,i,view,nan,,", f"timestamp: 'nan', expected {A_TIME}"),
        ("u,i,view,-3,,", f"timestamp: '-3', expected {A_TIME}, up to the year 9999"),
        ("u,i,view", "line: '3 columns', expected 6 as in the header, 4 at least"),
        ("u,i,view,1,2,tents,red", "line: '7 columns', expected 6 as in the header, 4 at least"),
        ('u,"i"x,view,1,,', "',' expected after '\"'"),
    ],
)
def test_a_bad_row_is_named_with_file_line_and_expectation(tmp_path: Path, row: str, message: str) -> None:
    path = written(tmp_path, "shop.csv", HEADER, "u,i,view,1,,", row)
    with pytest.raises(EventFileError) as caught:
        list(read_events(path))
    assert str(caught.value) == f"{path}, line 3: {message}"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "user_id,item_id,timestamp",
            "header: 'user_id,item_id,timestamp', expected a column event_type, separated by",
        ),
        ("Kunde,item_id,type,time", "header: 'Kunde,item_id,type,time', expected a column user_id, separated by"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, header: str, message: str) -> None:
    path = written(tmp_path, "shop.csv", header)
    with pytest.raises(EventFileError) as caught:
        list(read_events(path))
    assert str(caught.value).startswith(f"{path}, line 1: {message}")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "line: [1], expected a JSON object"),
        (
            '{"user_id": "u"}',
            f"event_type: missing, expected one of {KINDS}, request",
        ),
        (
            '{"type": "wink"}',
            f"type: 'wink', expected one of {KINDS}, request",
        ),
        ('{"topic": "other"}', "topic: 'other', expected one of events.browse.v1, events.click.v1, events.purchase.v1"),
        ('{"type": "view", "item_id": "i"}', "user_id: missing, expected a non-empty text"),
        ('{"type": "view", "itm_id": "i"}', "item_id: missing, expected a non-empty text; itm_id is no field: did you"),
        ('{"type": "view", "item_id": true}', "item_id: True, expected a non-empty text"),
        ('{"type": "view", "item_id": "i", "user_id": "u"}', "timestamp: missing, expected ISO-8601"),
        (
            '{"type": "view", "item_id": "i", "user_id": "u", "timestamp": "soon"}',
            "timestamp: 'soon', expected ISO-8601",
        ),
        ("{", "Input data was truncated"),
    ],
)
def test_a_bad_json_line_is_named_with_file_line_and_expectation(tmp_path: Path, line: str, message: str) -> None:
    good = '{"type": "view", "user_id": "u", "item_id": "i", "timestamp": 5}'
    path = written(tmp_path, "shop.jsonl", good, line)
    with pytest.raises(EventFileError) as caught:
        list(read_events(path))
    assert str(caught.value).startswith(f"{path}, line 2: {message}")


def test_bytes_that_are_no_text_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(f"{HEADER}\nu,i,view,1,,\nu,".encode() + b"\xff,view,1,,\n")
    with pytest.raises(EventFileError) as caught:
        list(read_events(path))
    assert str(caught.value) == f"{path}, line 3: byte 2 is not UTF-8"


def test_the_events_before_a_bad_line_are_given(tmp_path: Path) -> None:
    events = read_events(written(tmp_path, "shop.csv", HEADER, "u,i,view,1,,", "broken"))
    assert next(events).key == b"u"


def test_a_cut_gzip_file_says_so(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv.gz", HEADER, *(f"u{n},i{n * 7919},view,{n},," for n in range(5000)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EventFileError, match="is not a whole gzip file"):
        list(read_events(path))


def test_an_unknown_format_says_which_are_known(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"ends with \.csv, \.csv\.gz, \.tsv, .* \.jsonl"):
        list(read_events(written(tmp_path, "shop.parquet")))


@pytest.mark.parametrize(("name", "events"), [("yoochoose", 83_845), ("taobao", 84_440), ("ml100k", 100_000)])
def test_every_event_of_the_real_streams_is_read_and_counted(shared_data: Path, name: str, events: int) -> None:
    path = shared_data / f"{name}.csv.gz"
    assert (sum(1 for _ in read_events(path)), count_events(path)) == (events, events)


@pytest.mark.parametrize("name", ["yoochoose", "taobao", "ml100k"])
def test_real_events_need_no_repair_but_that_they_are_late(shared_data: Path, name: str) -> None:
    intake, at_ms = RecordReader(), 1_700_000_000_000
    outcomes = set()
    for event in read_events(shared_data / f"{name}.csv.gz", limit=10_000):
        read = intake.read(event.value, EVENT_TOPICS[event.topic], at_ms)
        outcomes.add(read.reason if isinstance(read, Refusal) else read.repairs)
    assert outcomes == {("timestamp:late",)}


@pytest.mark.parametrize("stamp", ["99999999999999999999999", "1e300"])
def test_a_time_beyond_the_year_9999_is_named_with_its_line(stamp: str, tmp_path: Path) -> None:
    line = '{"type": "click", "user_id": "u", "item_id": "i", "timestamp": %s}'
    path = written(tmp_path, "far.jsonl", line % 5, line % stamp)
    with pytest.raises(EventFileError, match=r"line 2: timestamp: .*up to the year 9999"):
        list(read_events(path))


def counted(path: Path, layout: Layout = BY_NAMES) -> tuple[list[dict[str, object]], Reading]:
    reading = Reading()
    return [json.loads(event.value) for event in read_events(path, layout=layout, reading=reading)], reading


def test_lines_that_are_no_event_are_skipped_and_counted_by_what_is_wrong(tmp_path: Path) -> None:
    bad = ("u,i,wink,1,,", "u,i,view,soon,,", ",i,view,1,,", "u,i,view", 'u,"i"x,view,1,,', "u,i,view,2,,")
    found, reading = counted(written(tmp_path, "shop.csv", HEADER, "u,i,view,1,,", *bad))
    assert [event["event_id"] for event in found] == ["shop:2", "shop:8"]
    assert reading.unread == {"event_type": 1, "timestamp": 1, "user_id": 1, "line": 1, "format": 1}
    assert any(line.startswith("1 line not read for timestamp: line 4: 'soon', expected") for line in reading.lines())


def test_json_lines_are_skipped_likewise(tmp_path: Path) -> None:
    good = '{"type":"view","user_id":"u","item_id":"i","timestamp":1700000000000}'
    found, reading = counted(written(tmp_path, "shop.jsonl", good, "{", "[1]", '{"type":"wink"}', good))
    assert (len(found), reading.unread) == (2, {"format": 1, "line": 1, "type": 1})


def test_a_line_that_is_no_text_is_skipped_and_the_next_one_read(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(f"{HEADER}\nu,".encode() + b"\xff,view,1,,\nu,i,view,1,,\n")
    found, reading = counted(path)
    assert ([event["item_id"] for event in found], reading.unread) == (["i"], {"line": 1})


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", "::"])
def test_the_separator_is_found_out(tmp_path: Path, separator: str) -> None:
    lines = (
        separator.join(row) for row in (("user_id", "item_id", "event_type", "timestamp"), ("u", "i", "cart", "7"))
    )
    (event,), _ = counted(written(tmp_path, "shop.csv", *lines))
    assert (event["user_id"], event["action"], event["timestamp"]) == ("u", "cart", 7000)


@pytest.mark.parametrize(
    "stamp",
    ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000", "2023-11-14T22:13:20Z",
     "2023-11-14 22:13:20 UTC", "2023-11-14 23:13:20+01:00", "2023-11-14 22:13:20"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["shop.csv", "shop.jsonl"])
def test_a_time_may_have_any_unit(tmp_path: Path, name: str, stamp: str) -> None:
    quoted = stamp if stamp.isdigit() else f'"{stamp}"'
    json_line = f'{{"type":"view","user_id":"u","item_id":"i","timestamp":{quoted}}}'
    lines = (HEADER, f"u,i,view,{stamp},,") if name.endswith("csv") else (json_line,)
    (event,) = read_events(written(tmp_path, name, *lines))
    assert event.time_ms == 1_700_000_000_000
    intake = RecordReader().read(event.value, "browse", 1_700_000_000_000)
    assert not isinstance(intake, Refusal)
    assert intake.time_ms == 1_700_000_000_000


def test_times_of_json_lines_in_other_units_are_told(tmp_path: Path) -> None:
    line = '{"type":"view","user_id":"u","item_id":"i","timestamp":1700000000}'
    _, reading = counted(written(tmp_path, "shop.jsonl", line, line))
    assert reading.lines() == ["2 times are in seconds, and were taken so"]


def test_whole_numbers_that_pandas_wrote_are_ids(tmp_path: Path) -> None:
    (row,), _ = counted(written(tmp_path, "shop.csv", HEADER, "123.0,4.50,view,1,,"))
    assert (row["user_id"], row["item_id"]) == ("123", "4.50")
    (line,), _ = counted(
        written(tmp_path, "shop.jsonl", '{"type":"view","user_id":123.0,"item_id":7,"timestamp":"1700000000000"}')
    )
    assert (line["user_id"], line["item_id"], line["timestamp"]) == ("123", "7", 1_700_000_000_000)


def test_values_that_make_no_sense_are_left_out_and_the_event_counts(tmp_path: Path) -> None:
    rows = ("u,i,view,1,NULL,c", "u,i,view,2,inf,c", "u,i,view,3,9.5,c")
    found, reading = counted(written(tmp_path, "shop.csv", HEADER, *rows))
    assert [event.get("price") for event in found] == [None, None, 9.5]
    assert reading.lines() == ["2 values of price left out"]


def test_further_columns_are_read_where_events_have_them_and_do_no_harm_otherwise(tmp_path: Path) -> None:
    path = written(tmp_path, "shop.csv", f"{HEADER},brand,quantity,colour", "u,i,cart,1,2,c,Aster,3,red")
    (event,), _ = counted(path)
    assert (event["brand"], event["quantity"], "colour" in event) == ("Aster", 3.0, False)


@pytest.mark.parametrize(("kind", "topic"), [("refund", "events.purchase.v1"), ("dismiss", "events.click.v1")])
def test_what_takes_back_can_be_in_a_file(tmp_path: Path, kind: str, topic: str) -> None:
    (row,) = read_events(written(tmp_path, "shop.csv", HEADER, f"u,i,{kind},1,,"))
    line = f'{{"type":"{kind}","user_id":"u","item_id":"i","timestamp":1}}'
    (said,) = read_events(written(tmp_path, "shop.jsonl", line))
    assert [(event.topic, json.loads(event.value)["action"]) for event in (row, said)] == [(topic, kind)] * 2


def test_json_lines_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    line = '\ufeff{"type":"view","user_id":"u","item_id":"i","timestamp":1700000000000}'
    assert len(counted(written(tmp_path, "shop.jsonl", line))[0]) == 1


def test_an_order_of_several_items_is_an_event_for_each(tmp_path: Path) -> None:
    order = '{"type":"purchase","user_id":"u","items":[{"item_id":"a","price":3},"b"],"timestamp":1700000000000}'
    found, reading = counted(written(tmp_path, "shop.jsonl", order, order.replace("purchase", "view")))
    assert [(event["event_id"], event["item_id"]) for event in found] == [("shop:1", "a"), ("shop:1/1", "b")]
    assert reading.unread == {"item_id": 1}


def test_an_id_that_is_null_is_not_taken_for_another_field(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"line 1: item_id: missing, expected a non-empty text$"):
        values(written(tmp_path, "shop.jsonl", '{"type": "view", "item_id": null, "user_id": "u", "timestamp": 5}'))


def test_an_order_of_many_lines_is_one_line_of_the_file(tmp_path: Path) -> None:
    parts = [{"item_id": f"i{n}"} for n in range(10)]
    order = json.dumps({"type": "purchase", "user_id": "u", "timestamp": 5, "items": parts})
    reading = Reading()
    assert len(list(read_events(written(tmp_path, "shop.jsonl", *[order, "{}"] * 10), reading=reading))) == 100
    with pytest.raises(EventFileError, match=r"10 of 20 lines cannot be read"):
        reading.check_lines("shop.jsonl")


def test_all_lines_count_that_a_quotation_mark_which_is_not_closed_takes_with_it(tmp_path: Path) -> None:
    rows = [f"u{n},i{n},view,{1_700_000_000 + n},5,tents" for n in range(100)]
    rows[50] = rows[50].replace("tents", '"tents')
    reading = Reading()
    assert len(list(read_events(written(tmp_path, "shop.csv", HEADER, *rows), reading=reading))) == 50
    assert reading.lines() == ["50 lines not read for format: lines 52 to 101: unexpected end of data"]
    with pytest.raises(EventFileError, match=r"50 of 100 lines cannot be read"):
        reading.check_lines("shop.csv")


def with_quotation_marks(folder: Path, field: str, kind: str = "view") -> Path:
    """A file of 100 rows with two quotation marks too many, lines apart."""
    header = f"{HEADER},event_id,title"
    rows = [[f"u{n}", f"i{n}", kind, f"{1_700_000_000 + n}", "5", "tents", f"e{n}", "A tent"] for n in range(100)]
    at = header.split(",").index(field)
    rows[50][at], rows[70][at] = f'"{rows[50][at]}', f'{rows[70][at]}"'
    return written(folder, "shop.csv", header, *(",".join(row) for row in rows))


@pytest.mark.parametrize(
    ("field", "kind"),
    [("user_id", "view"), ("category", "view"), ("event_id", "view"), ("price", "view"), ("price", "rate")],
)
def test_a_cell_of_many_lines_is_none_of_an_event(tmp_path: Path, field: str, kind: str) -> None:
    """Two quotation marks too many, lines apart, are a cell to the letter of the format."""
    reading = Reading()
    path = with_quotation_marks(tmp_path, field, kind)
    assert len(list(read_events(path, reading=reading))) == 79
    assert reading.unread == {field: 21}
    (said,) = reading.lines()
    assert said.startswith(f"21 lines not read for {field}: lines 52 to 72: ")
    assert said.endswith("a text of one line: is there a quotation mark too many?")


def test_lines_that_are_hidden_in_a_column_which_is_not_read_are_told(tmp_path: Path) -> None:
    """Descriptions may have several lines."""
    reading = Reading()
    assert len(list(read_events(with_quotation_marks(tmp_path, "title"), reading=reading))) == 80
    assert (reading.inside, reading.unread) == (20, {})
    (said,) = reading.lines()
    assert said.startswith("20 lines taken for the rest of a cell in a column that is not read, first after line 52: ")
