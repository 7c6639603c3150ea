"""Ranges of settings: a figure that something would break on later is refused at the start, with its name.

Every range has two ends, which also keeps out infinity and what is not a number.
"""

from typing import Annotated

import msgspec

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""Zero or more."""

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""One or more."""

Neighbours = Annotated[int, msgspec.Meta(ge=1, le=4096)]
"""Neighbours of an item; each costs every item as much."""

Entries = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
"""Entries of a list that each state holds and each event goes through."""

EntriesOrNone = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
"""The same, or none."""

SeriesOrNone = Annotated[int, msgspec.Meta(ge=0, le=100)]
"""Series of metrics that have an id in a label, or none."""

Reach = Annotated[int, msgspec.Meta(ge=0, le=256)]
"""Items of a user, or neighbours of an item, that a candidate source goes through."""

Listed = Annotated[int, msgspec.Meta(ge=0, le=100)]
"""Items of a list kept for everybody; :data:`processors.items.popularity.POPULAR_DEPTH` bounds it."""

Newest = Annotated[int, msgspec.Meta(ge=0, le=24)]
"""Newest items of a category; :data:`processors.items.attributes.NEWEST_DEPTH` bounds it."""

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""A share of one."""

Rate = Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
"""A rate or weight without a unit."""

PositiveRate = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]
"""The same, where zero makes no sense."""

Importance = Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]
"""Weight of one objective beside others."""

Confidence = Annotated[float, msgspec.Meta(ge=1e-9, le=0.5)]
"""Probability of a false alarm."""

WindowBlocks = Annotated[int, msgspec.Meta(ge=8, le=1024)]
"""Means that a drift alarm looks back on."""

ItemDays = Annotated[float, msgspec.Meta(ge=0.0, le=36_500.0)]
"""Age of an item, in days."""

Groups = Annotated[int, msgspec.Meta(ge=0, le=64)]
"""Interest groups; every user is compared with each."""

Examples = Annotated[int, msgspec.Meta(ge=0, le=256)]
"""Training examples per micro-batch."""

Places = Annotated[int, msgspec.Meta(ge=1, le=100)]
"""Places of a slate."""

Power = Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
"""Exponent of a falling weight."""

MAX_STEPS = 128
"""The longest distance that a byte with a sign holds."""

Steps = Annotated[int, msgspec.Meta(ge=0, le=127)]
"""Steps within a session; signals carry them in a byte."""

Bytes = Annotated[int, msgspec.Meta(ge=2**16, le=2**40)]
"""Memory; no part makes do with less."""

MessageBytes = Annotated[int, msgspec.Meta(ge=2**16, le=2**30)]
"""Of a Kafka record batch; Kafka counts in 32 bits."""

Replicas = Annotated[int, msgspec.Meta(ge=1, le=2**15 - 1)]
"""Copies of a partition; Kafka counts in 16 bits."""

WaitMs = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
"""A wait within a request, shorter than any request may take."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
"""Of TCP; 0 takes a free one."""

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10**13)]
"""A span of at most three centuries."""

Age = Annotated[int, msgspec.Meta(ge=1, le=10**13)]
"""An age in milliseconds, up to three centuries."""

HalfLife = Annotated[int, msgspec.Meta(ge=1000, le=10**13)]
"""A second at least: decay moves its landmark every sixteen half-lives."""

MAX_MS = 253_402_300_799_999
"""Last millisecond of the year 9999."""

EpochMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)]
"""Milliseconds since the epoch, up to the year 9999."""

EmbeddingSize = Annotated[int, msgspec.Meta(ge=0, le=4096)]
"""Numbers of an embedding; beyond that their products could no longer be added up exactly."""

RowBytes = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
"""Of one row of a catalogue."""

MAX_ID_CHARACTERS = 256
"""Characters of an id, a name or a label."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
"""An id or other short text that needs no repair."""

Ids = Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)]
"""A list of them."""
