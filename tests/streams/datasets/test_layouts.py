"""Files as public data sets and shops have them."""

import json
from pathlib import Path

import pytest

from processors.common.errors import ConfigurationError
from streams.datasets.event_files import read_events
from streams.datasets.files import EventFileError
from streams.datasets.layouts import layout_of
from streams.datasets.reading import Reading
from streams.datasets.sorting import sorted_events

FILES = {
    "movielens-100k": ("u.data", "196\t242\t3\t881250949"),
    "movielens-1m": ("ratings.dat", "196::242::3::881250949"),
    "taobao": ("UserBehavior.csv", "196,242,42,buy,881250949"),
    "yoochoose-clicks": ("clicks.dat", "196,1997-12-04T15:55:49Z,242,0"),
    "yoochoose-buys": ("buys.dat", "196,1997-12-04T15:55:49.000Z,242,12462,1"),
    "amazon-2014": ("ratings.csv", "196,242,5.0,881250949"),
    "amazon-2018": ("ratings.csv", "242,196,5.0,881250949"),
    "MovieLens 20M": ("ratings.csv", "userId,movieId,rating,timestamp\n196,242,3.5,881250949"),
    "REES46": (
        "2019-Oct.csv",
        "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
        "1997-12-04 15:55:49 UTC,view,242,2103807459595387724,,shiseido,35.79,196,72d76fde",
    ),
    "RetailRocket": ("events.csv", "timestamp,visitorid,event,itemid,transactionid\n881250949000,196,addtocart,242,"),
    "Amazon reviews": (
        "reviews.jsonl",
        '{"reviewerID": "196", "asin": "242", "overall": 5.0, "unixReviewTime": 881250949, "reviewText": "good"}',
    ),
    "a shop": ("events.csv", "Kunde;Artikel;Zeit\n196;242;1997-12-04 16:55:49+01:00"),
}
COLUMNS = {"a shop": "user=Kunde,item=Artikel,time=Zeit,type=view"}
KINDS = {
    "taobao": "purchase", "yoochoose-clicks": "view", "yoochoose-buys": "purchase", "REES46": "view",
    "RetailRocket": "cart", "a shop": "view",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_that_people_have_are_read(tmp_path: Path, name: str) -> None:
    file, text = FILES[name]
    (tmp_path / file).write_text(f"{text}\n")
    layout = layout_of(name if name in FILES and name.islower() and " " not in name else None, COLUMNS.get(name))
    (event,) = read_events(tmp_path / file, layout=layout)
    fields = json.loads(event.value)
    assert (fields["user_id"], fields["item_id"], event.time_ms) == ("196", "242", 881_250_949_000)
    assert fields["action"] == KINDS.get(name, "rate")


def test_what_is_put_out_of_a_cart_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("user_id,item_id,event_type,timestamp\nu,i,remove_from_cart,881250949\nu,i,view,881250949\n")
    reading = Reading()
    assert len(list(read_events(path, reading=reading))) == 1
    assert reading.lines() == ["1 line passed over: remove_from_cart"]
    reading.check("events.csv")


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("netflix", None, "--layout: 'netflix', expected one of movielens-100k"),
        (None, "who=UserId", "--columns: 'who=UserId', expected FIELD=COLUMN with one of user, item, type, time"),
        (None, "user", "--columns: 'user', expected FIELD=COLUMN"),
    ],
)
def test_a_layout_that_there_is_not_is_named(name: str | None, columns: str | None, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        layout_of(name, columns)
    assert str(caught.value).startswith(message)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(EventFileError, match="line 1: --columns: 'Kunde', expected one of the columns a, b, c"):
        list(read_events(path, layout=layout_of(None, "user=Kunde")))


def test_events_are_sorted_in_runs_and_merged_and_equal_times_stay_in_order(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    rows = [f"u{n},i,view,{881_250_949 + n * 7 % 11}" for n in range(25)]
    path.write_text("\n".join(["user_id,item_id,event_type,timestamp", *rows]))
    events = list(read_events(path))
    expected = sorted(events, key=lambda event: event.time_ms)
    assert [list(sorted_events(events, run_events=size)) for size in (4, 25, 1000)] == [expected] * 3
