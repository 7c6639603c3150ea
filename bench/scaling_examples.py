"""What the models plane takes per message of training examples, and per example."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean
from time import process_time

import msgspec

from processors.common.topics import TRAINING_TOPIC
from processors.events.record import Record
from processors.models.examples import Examples
from processors.models.state import ModelState
from state.store import MemoryStore
from streams.engine.partition import PartitionProcessor
from streams.engine.source_batch import SourceBatch
from streams.engine.topology import build_topology
from streams.settings.sections import Settings

_THICKER, _STEP_MESSAGES, _STEPS = 8, 20, 25
_COLUMNS = "heads", "buckets", "ranks", "plain_ranks", "losses", "gradients"


def lower_quartile(figures: Iterable[float]) -> float:
    """Return the lower quartile.

    Examples
    --------
    >>> lower_quartile([5.0, 1.0, 2.0, 9.0])
    2.0
    """
    ordered = sorted(figures)
    return ordered[len(ordered) // 4]


def message_costs(messages: Sequence[bytes]) -> dict[str, float]:
    """Return what the models plane takes per message of training examples and per example in it."""
    thin = [msgspec.msgpack.decode(message, type=Examples) for message in messages[:_STEP_MESSAGES]]
    thick = [
        msgspec.structs.replace(message, **{name: getattr(message, name) * _THICKER for name in _COLUMNS})
        for message in thin
    ]
    plane = build_topology(Settings()).models
    runs = [PartitionProcessor(plane, 0, MemoryStore(plane.state_type)) for _ in range(2)]
    values = [[msgspec.msgpack.encode(message) for message in those] for those in (thin, thick)]
    seconds = [[_step_s(run, those) for run, those in zip(runs, values, strict=True)] for _ in range(_STEPS)]
    # The first step loads what only learning needs.
    few, many = (lower_quartile(column) / len(thin) * 1e6 for column in zip(*seconds[1:], strict=True))
    examples = mean(len(message.heads) for message in thin)
    example = max(0.0, (many - few) / (examples * (_THICKER - 1)))
    return {"examples_per_message": examples, "example_us": example, "training_us": max(0.0, few - example * examples)}


def _step_s(run: PartitionProcessor[ModelState], values: Sequence[bytes]) -> float:
    """Give a models plane messages as one micro-batch, and return the CPU-seconds that it takes."""
    begin = run.position.offsets.get(TRAINING_TOPIC, 0)
    records = [Record(TRAINING_TOPIC, 0, begin + n, begin, None, value) for n, value in enumerate(values)]
    begun = process_time()
    prepared = run.prepare([SourceBatch(TRAINING_TOPIC, begin, begin + len(values), records)])
    if prepared is not None:
        run.commit(prepared, begin)
    return process_time() - begun
