"""Consent: what a user agreed to, and whether something may be done for it. The only place that decides.

Events, impressions and requests may say in ``purposes`` what their user agreed to:

* ``store``: the user's profile may be changed by it, and read later;
* ``learn``: others may learn from it: popularity, co-visitation, models, which takes ``store`` as well;
* ``recommend``: slates may be the user's own;
* ``target``: ads may be chosen by the profile, and which were is noted in it;
* ``measure``: it may be attributed to an ad, counted and charged.

What a shop uploads (:mod:`processors.events.audience_upload`) is the shop's own data and says nothing of purposes: it
is stored whatever ``unnamed`` says, others learn nothing from it, and ads are chosen by it where ``target`` allows.

A consent management platform says the same by a TC string of the Transparency and Consent Framework (``tc_string``) or
by a string of the Global Privacy Platform (``gpp``, ``gpp_sid``), and a browser by the Global Privacy Control signal
(``gpc``). The signal takes back ``target``, and so does who opted out of sale, sharing or targeted advertising.

References
----------
IAB Europe, "Transparency and Consent String with Global Vendor and CMP List Formats", version 2.2; W3C, "Global Privacy
Control"; GPP: :mod:`processors.events.gpp`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from processors.events.event_fields import optional_purposes
from processors.events.gpp import read_gpp

Purpose = Literal["store", "learn", "recommend", "target", "measure"]

PURPOSES: tuple[Purpose, ...] = ("store", "learn", "recommend", "target", "measure")
"""All purposes there are."""

UNNAMED_BUT_TARGET = ("unnamed_but_target",)
"""Stands for a record that names no purposes and takes back ``target``: the others are taken as the settings say."""

_TCF_PURPOSES: Mapping[Purpose, tuple[int, ...]] = {
    "store": (1,),
    "learn": (10,),
    "recommend": (5, 6),
    "target": (2, 3, 4),
    "measure": (7,),
}
"""The purposes of the framework that must all be agreed to for each of ours: to store or access information; to develop
and improve services; personalised content (profile, selection); ads (basic, profile, personalised); ad measurement."""

_CONSENTS_AT = 152
"""Bit of the core string at which the purposes agreed to begin, purpose 1 first."""


class ConsentSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How what says nothing of purposes is taken.

    Parameters
    ----------
    unnamed
        ``assumed``: as agreed to everything; ``required``: as agreed to nothing.

    Examples
    --------
    >>> consent = ConsentSettings()
    >>> consent.allows(None, "learn"), consent.allows((), "learn"), consent.allows(("learn",), "store")
    (True, False, False)
    """

    unnamed: Literal["assumed", "required"] = "assumed"

    def allows(self, purposes: tuple[str, ...] | None, *needed: Purpose) -> bool:
        """Tell whether all of some purposes are agreed to.

        Parameters
        ----------
        purposes
            What an event, impression or request says; :obj:`None` if nothing.
        needed
            The purposes.
        """
        if purposes is None or purposes == UNNAMED_BUT_TARGET:
            return self.unnamed == "assumed" and (purposes is None or "target" not in needed)
        return all(purpose in purposes for purpose in needed)


def take_purposes(fields: dict[str, Any], repairs: list[str]) -> tuple[str, ...] | None:
    """Take what a record says of consent out of its fields: ``purposes``, else ``tc_string``, else ``gpp``.

    A string that cannot be read counts as consent to nothing. What ``gpp`` opts out of and ``gpc`` hold in any case.

    Returns
    -------
    tuple of str or None
        The purposes agreed to; :obj:`None` if the record says nothing.

    Examples
    --------
    >>> take_purposes({"gpc": True}, []) == UNNAMED_BUT_TARGET
    True
    >>> notes = []
    >>> take_purposes({"tc_string": "CP?"}, notes), notes
    ((), ['tc_string:none_taken'])
    """
    purposes = optional_purposes(fields.pop("purposes", None), "purposes", repairs)
    text, signal = fields.pop("tc_string", None), fields.pop("gpc", None)
    if purposes is None and text is not None:
        purposes = _purposes_said(text, "tc_string", repairs)
    platform, applicable = fields.pop("gpp", None), fields.pop("gpp_sid", None)
    opted_out = signal in (True, 1, "1")
    if platform is not None:
        said = read_gpp(platform, _numbers(applicable)) if isinstance(platform, str) else None
        if said is None:
            repairs.append("gpp:none_taken")
            purposes = purposes or ()
        opted_out |= said is None or said.opted_out
        if purposes is None and said is not None and said.tc_string is not None:
            purposes = _purposes_said(said.tc_string, "gpp", repairs)
    if opted_out:
        purposes = UNNAMED_BUT_TARGET if purposes is None else tuple(one for one in purposes if one != "target")
    return purposes


def _numbers(applicable: Any) -> list[int] | None:
    """Return the numbers of sections in ``gpp_sid``; :obj:`None`, for all sections, if it is no list of numbers."""
    if isinstance(applicable, list) and all(isinstance(number, int) for number in applicable):
        return applicable
    return None


def _purposes_said(text: Any, field: str, repairs: list[str]) -> tuple[str, ...]:
    """Return the purposes of a TC string; none, noted as a repair of the field, if it cannot be read."""
    found = purposes_of_tc_string(text) if isinstance(text, str) else None
    if found is None:
        repairs.append(f"{field}:none_taken")
    return found or ()


def purposes_of_tc_string(text: str) -> tuple[str, ...] | None:
    """Return the purposes that a TC string of version 2 agrees to; :obj:`None` if it cannot be read.

    Examples
    --------
    >>> core = bytearray(22)
    >>> core[0], core[19], core[20] = 2 << 2, 0b1000_0010, 0b0100_0000
    >>> purposes_of_tc_string(base64.urlsafe_b64encode(core).decode().rstrip("="))
    ('store', 'learn', 'measure')
    """
    core = text.partition(".")[0]
    try:
        raw = base64.b64decode(core + "=" * (-len(core) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(raw) * 8 < _CONSENTS_AT + 24 or raw[0] >> 2 != 2:
        return None
    bits = int.from_bytes(raw, "big")

    def agreed(number: int) -> bool:
        return bool(bits >> (8 * len(raw) - _CONSENTS_AT - number) & 1)

    return tuple(purpose for purpose in PURPOSES if all(map(agreed, _TCF_PURPOSES[purpose])))
