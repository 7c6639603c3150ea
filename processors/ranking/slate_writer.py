"""Slates as JSON, written by one compiled loop: what :class:`processors.ranking.slate.SlateItem` describes."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np

from processors.common.arrays import Ints
from processors.common.compiled import kernel
from processors.common.text_column import Bytes, TextColumn
from processors.ranking.read_models import ReadModels
from processors.ranking.reason_kinds import KINDS
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.reasons import reason_of
from processors.ranking.slate import SOURCES, Slates

_MARK = "\ufffc"
"""Stands for what a reason names while its text is cut into parts."""

_PARTS = 3
_ITEM, _CATEGORY, _CONTEXT = 1, 2, 3
_NAMED = {None: 0, "item": _ITEM, "category": _CATEGORY, "context": _CONTEXT}
"""What the reason of a kind names, as a number."""

_NUMBER_BYTES = 24
"""More than a number takes."""


class SlateWriter:
    """Writes the items of slates as JSON, faster than objects could be made and encoded.

    Parameters
    ----------
    texts
        What reasons say to people: in the language of each row's user.
    """

    def __init__(self, texts: ReasonTexts) -> None:
        self._texts = texts
        self._parts, self._named = TextColumn(), np.zeros(len(KINDS), np.int64)
        for language in range(len(texts.languages)):
            for number in range(len(KINDS)):
                self._cut(language, number)
        self._categories, self._contexts = TextColumn(), TextColumn()
        self._names: object = None

    def write(self, slates: Slates, read: ReadModels) -> list[memoryview]:
        """Return, per row, the JSON list of the row's items.

        Parameters
        ----------
        slates
            Slates of one placement.
        read
            The read models that the slates were made with, unchanged since.
        """
        self._know(slates, read)
        buffer, begins = _written(
            slates.slots, slates.scores, slates.propensities, slates.kinds, slates.links, slates.languages,
            len(self._texts.languages), read.items.attributes.category, self._named, *_columns(self._parts),
            *_columns(read.items.texts),
            *_columns(read.items.titles), *_columns(self._categories), *_columns(self._contexts),
        )  # fmt: skip
        whole, ends = memoryview(buffer), begins.tolist()
        return [whole[begin:end] for begin, end in pairwise(ends)]

    def _cut(self, language: int, number: int) -> None:
        """Keep what stands around the names in the JSON of a kind of reason, from the source to the propensity."""
        kind = KINDS[number].kind
        source = msgspec.json.encode(SOURCES[number]).decode()
        named = _NAMED[kind.links]
        if named == _CONTEXT:
            parts = [f',"source":{source},"reasons":[', '],"propensity":']
        else:
            text = self._texts.template(language, number).format(item=_MARK, category=_MARK, context=_MARK)
            fields = {"kind": kind.name, "item_id": _MARK, "text": text, "category": _MARK}
            if named != _ITEM:
                del fields["item_id"]
            if named != _CATEGORY:
                del fields["category"]
            reason = msgspec.json.encode(fields).decode()
            parts = f',"source":{source},"reasons":[{reason}],"propensity":'.split(_MARK)
        self._named[number] = named
        for at, part in enumerate([*parts, "", ""][:_PARTS]):
            self._parts.put_raw(_PARTS * (language * len(KINDS) + number) + at, part.encode())

    def _know(self, slates: Slates, read: ReadModels) -> None:
        """Keep the texts of the categories and contexts that the slates name."""
        named = self._named[slates.kinds]
        if (named == _CATEGORY).any():
            there = (named == _CATEGORY) & (slates.slots >= 0)
            for number in np.unique(read.items.attributes.category[slates.slots[there]]).tolist():
                if number >= len(self._categories.lengths) or not self._categories.lengths[number]:
                    self._categories.put(number, read.items.attributes.categories.name(number))
        if (named == _CONTEXT).any():
            if read.contexts.names is not self._names:
                self._names, self._contexts = read.contexts.names, TextColumn()
            there = (named == _CONTEXT) & (slates.slots >= 0)
            languages = np.broadcast_to(slates.languages[:, None], there.shape)[there].tolist()
            for link, kind, language in sorted(
                set(zip(slates.links[there].tolist(), slates.kinds[there].tolist(), languages, strict=True))
            ):
                number = (link * len(self._texts.languages) + language) * len(KINDS) + kind
                if number >= len(self._contexts.lengths) or not self._contexts.lengths[number]:
                    reason = reason_of(kind, link, 0, language, self._texts, read)
                    self._contexts.put_raw(number, msgspec.json.encode(reason))


def _columns(texts: TextColumn) -> tuple[Bytes, Ints, Ints]:
    return texts.buffer, texts.begins, texts.lengths


@kernel
def _written(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    slots, scores, propensities, kinds, links, languages, n_languages, category, named, parts, part_begins,
    part_lengths, ids, id_begins, id_lengths, titles, title_begins, title_lengths, categories, category_begins,
    category_lengths, contexts, context_begins, context_lengths,
):  # fmt: skip
    """Return the JSON of all rows in one buffer, and where each row begins."""
    users, size = slots.shape
    room = 2 * users + 1
    for user in range(users):
        for position in range(size):
            slot, kind, link = slots[user, position], kinds[user, position], links[user, position]
            if slot < 0:
                break
            room += _FIELD_BYTES + id_lengths[slot]
            spoken = languages[user] * len(named) + kind
            for part in range(3):
                room += part_lengths[3 * spoken + part]
            if named[kind] == 1:
                room += id_lengths[link] + title_lengths[link]
            elif named[kind] == 2:
                room += 2 * category_lengths[category[slot]]
            elif named[kind] == 3:
                room += context_lengths[(link * n_languages + languages[user]) * len(named) + kind]
    buffer, begins, at = np.empty(room, np.uint8), np.zeros(users + 1, np.int64), 0
    for user in range(users):
        begins[user] = at
        buffer[at] = 91  # [
        at += 1
        for position in range(size):
            slot, kind, link = slots[user, position], kinds[user, position], links[user, position]
            if slot < 0:
                break
            if position:
                buffer[at] = 44  # ,
                at += 1
            at = _text(buffer, at, _ITEM_ID, 0, len(_ITEM_ID))
            at = _text(buffer, at, ids, id_begins[slot], id_lengths[slot])
            at = _text(buffer, at, _RANK, 0, len(_RANK))
            at = _whole(buffer, at, position + 1)
            at = _text(buffer, at, _SCORE, 0, len(_SCORE))
            at = _decimal(buffer, at, scores[user, position])
            spoken = languages[user] * len(named) + kind
            for part in range(3):
                at = _text(buffer, at, parts, part_begins[3 * spoken + part], part_lengths[3 * spoken + part])
                if named[kind] == 1 and part == 0:
                    at = _text(buffer, at, ids, id_begins[link], id_lengths[link])
                elif named[kind] == 1 and part == 1:
                    at = _text(buffer, at, titles, title_begins[link], title_lengths[link])
                elif named[kind] == 2 and part < 2:
                    number = category[slot]
                    at = _text(buffer, at, categories, category_begins[number], category_lengths[number])
                elif named[kind] == 3 and part < 1:
                    number = (link * n_languages + languages[user]) * len(named) + kind
                    at = _text(buffer, at, contexts, context_begins[number], context_lengths[number])
            at = _decimal(buffer, at, propensities[user, position])
            buffer[at] = 125  # }
            at += 1
        buffer[at] = 93  # ]
        at += 1
    begins[users] = at
    return buffer, begins


@kernel
def _text(buffer, at, text, begin, length):  # type: ignore[no-untyped-def]  # numba finds the types
    """Copy a text into the buffer, and return the position behind it."""
    for n in range(length):
        buffer[at + n] = text[begin + n]
    return at + length


@kernel
def _whole(buffer, at, number):  # type: ignore[no-untyped-def]  # numba finds the types
    """Write a whole number of 0 or more, and return the position behind it."""
    digits, rest = 1, number // 10
    while rest:
        digits += 1
        rest //= 10
    for n in range(digits):
        buffer[at + digits - 1 - n] = 48 + number % 10
        number //= 10
    return at + digits


@kernel
def _decimal(buffer, at, value):  # type: ignore[no-untyped-def]  # numba finds the types
    """Write a number with at most six digits behind the point and at least one; null if it is none or too large."""
    if not abs(value) < 1e12:
        return _text(buffer, at, _NULL, 0, len(_NULL))
    millionths = np.int64(np.rint(abs(value) * 1e6))
    if value < 0.0 and millionths:
        buffer[at] = 45  # -
        at += 1
    at = _whole(buffer, at, millionths // 1_000_000)
    buffer[at] = 46  # .
    at += 1
    digits, rest = 6, millionths % 1_000_000
    while digits > 1 and rest % 10 == 0:
        rest //= 10
        digits -= 1
    for n in range(digits):
        buffer[at + digits - 1 - n] = 48 + rest % 10
        rest //= 10
    return at + digits


_ITEM_ID, _RANK, _SCORE, _NULL = (
    np.frombuffer(text, np.uint8).copy() for text in (b'{"item_id":"', b'","rank":', b',"score":', b"null")
)
_FIELD_BYTES = len(_ITEM_ID) + len(_RANK) + len(_SCORE) + 2 + 3 * _NUMBER_BYTES
