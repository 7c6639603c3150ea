"""The recent items of a user stay in order, whatever comes late."""

from processors.users.item_history import ItemHistory


def history() -> ItemHistory:
    found = ItemHistory([], [], [], [], [])
    for time_ms, item in ((10, "tent"), (20, "lamp"), (30, "mat")):
        found.touch(item, time_ms, 1.0, "view", in_order=True)
    return found


def test_a_late_touch_of_a_new_item_makes_it_the_least_recent() -> None:
    found = history()
    found.touch("stove", 5, 1.0, "click", in_order=False)
    assert found.ids == ["stove", "tent", "lamp", "mat"]
    assert found.drop_oldest() == "stove"
    assert found == history()


def test_a_late_touch_of_a_known_item_counts_where_the_item_is() -> None:
    found = history()
    found.touch("lamp", 5, 2.0, "cart", in_order=False)
    assert found == ItemHistory(
        ["tent", "lamp", "mat"], [10, 20, 30], [1, 2, 1], [1.0, 3.0, 1.0], ["view", "cart", "view"]
    )


def test_what_was_touched_since_is_bounded_in_time_and_number_without_the_item_itself() -> None:
    found = history()
    assert found.touched_since(10, "lamp", 9) == ("mat", "tent")
    assert found.touched_since(11, "stove", 9) == ("mat", "lamp")
    assert found.touched_since(10, "stove", 1) == ("mat",)
    assert found.touched_since(10, "stove", 0) == ()
