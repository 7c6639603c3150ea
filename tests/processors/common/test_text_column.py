"""Texts are what was put last, however often they were replaced, in bounded memory."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from processors.common.text_column import TextColumn


@given(st.lists(st.tuples(st.integers(0, 40), st.text(max_size=300)), max_size=200))
def test_the_text_put_last_is_found(puts: list[tuple[int, str]]) -> None:
    texts, expected = TextColumn(), dict[int, bytes]()
    for number, text in puts:
        texts.put(number, text)
        expected[number] = msgspec.json.encode(text)[1:-1]
    assert {number: texts.get(number) for number in expected} == expected


def test_memory_is_bounded_by_what_is_kept() -> None:
    texts = TextColumn()
    for n in range(20_000):
        texts.put(n % 10, str(n) * 20)
    assert len(texts.buffer) == 4096
    assert texts.get(9) == b"19999" * 20
