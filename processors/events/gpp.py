"""What a GPP string says of consent: the Global Privacy Platform's way to carry the strings of several laws in one.

A string is a header and the sections that it lists, joined by ``~``. Section 2 is a TC string; 6 to 23 are those of the
United States, each with what its user opted out of: sale, sharing, targeted advertising.

References
----------
IAB Tech Lab, "Global Privacy Platform String", version 1; IAB Privacy, "US National" and state "Privacy Technical
Specification", version 1.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

_DIGITS = {
    digit: number for number, digit in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
}
_HEADER_TYPE, _MOST_SECTIONS = 3, 64
_MOST_CHARACTERS, _MOST_BITS = 16_384, 16
"""Of a string, and of a number in its header: what is longer stands for no section."""

_TCF_EUROPE, _US_PRIVACY = 2, 6

_OPT_OUTS: Mapping[int, tuple[int, ...]] = {
    7: (18, 20, 22),
    8: (12, 14),
    **dict.fromkeys((9, 10, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23), (12, 14)),
    **dict.fromkeys((11, 18), (14, 16)),
}
"""By section: the bits at which its opt-outs begin. Utah and Iowa have one notice more in front of them."""

_OPTED_OUT, _BITS_OF_A_CHOICE = "01", 2
_SIGNAL_SET = "011"
"""A segment of type 1 with the signal of Global Privacy Control set."""


class Said(NamedTuple):
    """What a string says.

    Parameters
    ----------
    tc_string
        The TC string among its sections; :obj:`None` without one.
    opted_out
        Whether the user opted out of sale, sharing or targeted advertising; also if a section cannot be told apart.
    """

    tc_string: str | None
    opted_out: bool


def read_gpp(text: str, applicable: Collection[int] | None = None) -> Said | None:
    """Return what a GPP string says; :obj:`None` if it cannot be read.

    Parameters
    ----------
    text
        The string.
    applicable
        Numbers of the sections that count (``gpp_sid``); :obj:`None` for all.

    Examples
    --------
    >>> read_gpp("DBABMA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA")
    Said(tc_string='CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA', opted_out=False)
    >>> read_gpp("DBACNYA~CPXxRfAPXxRfAAfKABENB-CgAAAAAAAAAAYgAAAAAAAA~1YYN", applicable=[6])
    Said(tc_string=None, opted_out=True)
    >>> read_gpp("DBACNYA~1YYN") is None
    True
    """
    if len(text) > _MOST_CHARACTERS:
        return None
    header, *sections = text.split("~")
    numbers = _sections_of(header)
    if numbers is None or len(numbers) != len(sections):
        return None
    tc_string, opted_out = None, False
    for number, section in zip(numbers, sections, strict=True):
        if applicable is not None and number not in applicable:
            continue
        if number == _TCF_EUROPE:
            tc_string = section
        else:
            opted_out |= _opts_out(number, section)
    return Said(tc_string, opted_out)


def _sections_of(header: str) -> list[int] | None:
    """Return the numbers of the sections that a header lists, in order; :obj:`None` if it cannot be read."""
    bits = _bits_of(header)
    if bits is None or len(bits) < 24 or int(bits[:6], 2) != _HEADER_TYPE:
        return None
    numbers, at, last = list[int](), 24, 0
    for _ in range(int(bits[12:24], 2)):
        is_range, at = bits[at : at + 1] == "1", at + 1
        first, at = _fibonacci(bits, at)
        if not first:
            return None
        first, length = last + first, 0
        if is_range:
            length, at = _fibonacci(bits, at)
        last = first + length
        if last - first > _MOST_SECTIONS or len(numbers) > _MOST_SECTIONS:
            return None
        numbers += range(first, last + 1)
    return numbers


def _fibonacci(bits: str, at: int) -> tuple[int, int]:
    """Return the number in Fibonacci coding that begins at a bit, and the bit behind it; 0 if there is none.

    Examples
    --------
    >>> _fibonacci("0011", 0), _fibonacci("1011", 0), _fibonacci("010", 0)
    ((3, 4), (4, 4), (0, 3))
    """
    number, one, other = 0, 1, 2
    for bit in range(at, min(at + _MOST_BITS, len(bits))):
        if bits[bit] == "1":
            number += one
            if bits[bit + 1 : bit + 2] == "1":
                return number, bit + 2
        one, other = other, one + other
    return 0, len(bits)


def _opts_out(number: int, section: str) -> bool:
    """Tell whether a section of the United States opts out of anything, or cannot be told apart."""
    if number == _US_PRIVACY:
        return len(section) != len("1YNN") or section[2].upper() == "Y"
    bits, places = _bits_of(section.partition(".")[0]), _OPT_OUTS.get(number)
    if bits is None or places is None or len(bits) < max(places) + _BITS_OF_A_CHOICE:
        return True
    signals = [_bits_of(segment) for segment in section.split(".")[1:]]
    if any(signal is None or signal.startswith(_SIGNAL_SET) for signal in signals):
        return True
    return any(bits[place : place + _BITS_OF_A_CHOICE] == _OPTED_OUT for place in places)


def _bits_of(text: str) -> str | None:
    """Return the bits of base64url without padding, six per character; :obj:`None` if it is none."""
    digits = [_DIGITS.get(character, -1) for character in text.rstrip("=")]
    return None if -1 in digits else "".join(f"{digit:06b}" for digit in digits)
