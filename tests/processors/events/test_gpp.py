"""Strings of the Global Privacy Platform: which sections there are, and what their users opted out of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.events.gpp import Said, read_gpp

_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NOTICES = {7: 6, 8: 3, 11: 4, 18: 4}
"""Choices in front of the first opt-out, by section; three in all others."""

_OPT_OUTS = {7: 3}
"""Opt-outs of a section; two in all others."""


def _text(bits: str) -> str:
    padded = bits + "0" * (-len(bits) % 6)
    return "".join(_DIGITS[int(padded[at : at + 6], 2)] for at in range(0, len(padded), 6))


def _fibonacci(number: int) -> str:
    terms = [1, 2]
    while terms[-1] <= number:
        terms.append(terms[-1] + terms[-2])
    bits = ""
    for term in reversed(terms[:-1] if terms[-1] > number else terms):
        taken = term <= number
        number -= term * taken
        bits = f"{int(taken)}{bits}"
    return bits.rstrip("0") + "1"


def header(numbers: list[int], *, as_range: bool = False) -> str:
    """Return the header of a string with sections of these numbers, which rise."""
    bits = f"{3:06b}{1:06b}"
    if as_range:
        return _text(f"{bits}{1:012b}1{_fibonacci(numbers[0])}{_fibonacci(numbers[-1] - numbers[0])}")
    gaps = [number - before for before, number in zip([0, *numbers], numbers, strict=False)]
    return _text(f"{bits}{len(gaps):012b}" + "".join(f"0{_fibonacci(gap)}" for gap in gaps))


def section(number: int, choices: list[int], signal: str = "") -> str:
    """Return a section of the United States with these opt-outs: 0 not applicable, 1 opted out, 2 not."""
    notices = "".join(["01"] * _NOTICES.get(number, 3))
    core = _text(f"{1:06b}{notices}" + "".join(f"{choice:02b}" for choice in choices) + "00" * 12)
    return core + (f".{_text(signal)}" if signal else "")


def test_headers_as_the_specification_gives_them() -> None:
    # It fills up whole bytes, so that zeros may follow.
    assert header([2]).ljust(6, "A") == "DBABMA"
    assert header([2, 6]).ljust(7, "A") == "DBACNYA"


@pytest.mark.parametrize("number", [7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23])
def test_every_opt_out_of_every_state_counts(number: int) -> None:
    places = _OPT_OUTS.get(number, 2)
    for none in ([0] * places, [2] * places):
        assert read_gpp(f"{header([number])}~{section(number, none)}") == Said(None, opted_out=False)
        for place in range(places):
            one = [*none[:place], 1, *none[place + 1 :]]
            assert read_gpp(f"{header([number])}~{section(number, one)}") == Said(None, opted_out=True)


def test_the_signal_of_a_section_opts_out_if_it_is_set() -> None:
    for signal, opted_out in (("011", True), ("010", False)):
        found = read_gpp(f"{header([7])}~{section(7, [2, 2, 2], signal)}")
        assert found == Said(None, opted_out=opted_out)


def test_sections_in_a_range_come_in_order() -> None:
    sections = [section(number, [2, 1 if number == 10 else 2]) for number in (8, 9, 10)]
    text = "~".join((header([8, 9, 10], as_range=True), *sections))
    assert read_gpp(text) == Said(None, opted_out=True)
    assert read_gpp(text, applicable=[8, 9]) == Said(None, opted_out=False)


@pytest.mark.parametrize(
    ("text", "opted_out"), [("1---", False), ("1YNN", False), ("1YYN", True), ("1yyn", True), ("1Y", True), ("", True)]
)
def test_the_older_section_of_the_united_states(text: str, opted_out: bool) -> None:
    assert read_gpp(f"{header([6])}~{text}") == Said(None, opted_out=opted_out)


def test_what_cannot_be_told_apart_opts_out() -> None:
    assert read_gpp(f"{header([60])}~BAAA") == Said(None, opted_out=True)
    assert read_gpp(f"{header([7])}~BA") == Said(None, opted_out=True)
    assert read_gpp(f"{header([7])}~B?AAAAAA") == Said(None, opted_out=True)


@pytest.mark.parametrize("text", ["", "~", "nonsense", "DBAB", "DBABMA", "DBABMA~a~b", "CBABMA~a", "DB__MA~a"])
def test_what_is_no_such_string_is_none(text: str) -> None:
    assert read_gpp(text) is None


@given(st.text(alphabet=f"{_DIGITS}~.=?", max_size=200))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    found = read_gpp(text)
    assert found is None or isinstance(found, Said)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20, unique=True))
def test_sections_of_any_numbers_are_found_again(numbers: list[int]) -> None:
    rising = sorted(numbers)
    found = read_gpp("~".join((header(rising), *("CX" if number == 2 else "x" for number in rising))))
    assert found is not None
    assert found.tc_string == ("CX" if 2 in rising else None)


def test_a_long_string_is_no_work() -> None:
    assert read_gpp("DBAB" + "A" * 16_000) is None
    assert read_gpp("DBAB" + "A" * 260_000) is None
    assert read_gpp(f"{_text(f'{3:06b}{1:06b}{1:012b}0' + '01' * 30_000)}~x") is None
