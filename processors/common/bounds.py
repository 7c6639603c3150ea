"""Ranges of settings, so that a value that would break something later is refused at the start, with its name.

Every range has two ends, which also keeps out infinity and NaN.
"""

from typing import Annotated

import msgspec

Natural = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""Zero or more."""

Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""One or more."""

SessionSeconds = Annotated[int, msgspec.Meta(ge=1, le=1_800)]
"""Seconds of a session in a consumer group: half an hour is the most that brokers allow by default."""

Neighbours = Annotated[int, msgspec.Meta(ge=1, le=4096)]
"""Neighbours kept per item; memory grows with it times the number of items."""

Entries = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
"""Entries of a list in each state; memory per state and time per event grow with it."""

EntriesOrNone = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
"""As :data:`Entries`; 0 keeps none."""

SeriesOrNone = Annotated[int, msgspec.Meta(ge=0, le=100)]
"""Time series of a metric that has an id as a label; 0 publishes none."""

SecondsOrNone = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
"""Seconds; 0 for no limit."""

Reach = Annotated[int, msgspec.Meta(ge=0, le=256)]
"""Items of a user, or neighbours of an item, that a candidate source reads."""

Listed = Annotated[int, msgspec.Meta(ge=0, le=100)]
"""Items of a list of popular items; :data:`processors.items.popularity.POPULAR_DEPTH` bounds it."""

Newest = Annotated[int, msgspec.Meta(ge=0, le=24)]
"""Items of a list of newest items; :data:`processors.items.attributes.NEWEST_DEPTH` bounds it."""

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""A share, from 0 to 1."""

Rate = Annotated[float, msgspec.Meta(ge=0.0, le=100.0)]
"""A rate or weight without a unit."""

PositiveRate = Annotated[float, msgspec.Meta(ge=1e-6, le=1e6)]
"""A rate or weight without a unit that must not be 0."""

Importance = Annotated[float, msgspec.Meta(ge=0.0, le=1000.0)]
"""Weight of one objective beside others."""

Confidence = Annotated[float, msgspec.Meta(ge=1e-9, le=0.5)]
"""Probability of a false alarm."""

WindowBlocks = Annotated[int, msgspec.Meta(ge=8, le=1024)]
"""Means of blocks that a drift alarm compares."""

ItemDays = Annotated[float, msgspec.Meta(ge=0.0, le=36_500.0)]
"""Age of an item, in days."""

IdleDays = Annotated[float, msgspec.Meta(ge=0.0, le=36_500.0)]
"""Days without an event after which something is deleted; 0 for never."""

Groups = Annotated[int, msgspec.Meta(ge=0, le=64)]
"""Interest groups; every user is compared with each of them."""

Examples = Annotated[int, msgspec.Meta(ge=0, le=256)]
"""Training examples per micro-batch."""

Positions = Annotated[int, msgspec.Meta(ge=1, le=100)]
"""Size of a slate, or a position in one, from 1."""

Power = Annotated[float, msgspec.Meta(ge=0.0, le=10.0)]
"""Exponent by which a weight falls with distance."""

MAX_STEPS = 128
"""Longest distance that fits into a signed byte."""

Steps = Annotated[int, msgspec.Meta(ge=0, le=127)]
"""Steps within a session; item signals carry them in a signed byte."""

Bytes = Annotated[int, msgspec.Meta(ge=2**16, le=2**40)]
"""Memory of a part of the worker in bytes; no part works with less than the lower end."""

MessageBytes = Annotated[int, msgspec.Meta(ge=2**16, le=2**30)]
"""Size of a Kafka record batch in bytes; Kafka counts it in 32 bits."""

Replicas = Annotated[int, msgspec.Meta(ge=1, le=2**15 - 1)]
"""Copies of a partition; Kafka counts them in 16 bits."""

WaitMs = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
"""A wait within a request in milliseconds, shorter than any request may take."""

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
"""TCP port; 0 takes a free one."""

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10**13)]
"""A span in milliseconds, up to three centuries."""

Interval = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
"""Time between two things that a worker does again and again, in milliseconds."""

Age = Annotated[int, msgspec.Meta(ge=1, le=10**13)]
"""An age in milliseconds, up to three centuries."""

HalfLife = Annotated[int, msgspec.Meta(ge=1000, le=10**13)]
"""A half-life in milliseconds, a second at least, because landmarks move every sixteen half-lives."""

MAX_MS = 253_402_300_799_999
"""Last millisecond of the year 9999."""

EpochMs = Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)]
"""Milliseconds since the epoch, up to the year 9999."""

EmbeddingSize = Annotated[int, msgspec.Meta(ge=0, le=4096)]
"""Length of an embedding; cosines of longer ones could not be summed up exactly."""

RowBytes = Annotated[int, msgspec.Meta(ge=1, le=2**24)]
"""Size of a row of the catalogue in bytes."""

MAX_ID_CHARACTERS = 256
"""Characters of an id, a name or a label."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID_CHARACTERS)]
"""An id or other short text that needs no repair."""

Ids = Annotated[tuple[Id, ...], msgspec.Meta(max_length=1000)]
"""A list of up to 1000 ids or short texts."""
