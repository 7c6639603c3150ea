"""What a load takes: workers, cores, bytes and time, computed from unit costs. A pure function, without a measurement.

A worker computes in one thread (decision 15) and runs one partition of each plane, so there are as many partitions as
workers. Of its core, :attr:`Load.utilisation` is planned for; the rest is for bursts. First goes what every worker must
do whatever their number: the broadcasts. What is left is divided among the planes. The number of workers is the
smallest at which the work fits; it is found by iteration, as the number of messages between planes grows with it.
There are no campaigns, so the campaigns plane is sent nothing.

An item is published once ``items.publish_within_ms`` has passed and something happens to it: an item that changes ``r``
times a second is published ``1 / (within + 1 / r)`` times. That is concave in ``r``, so of all ways in which changes
may spread over items, the even one that is assumed here publishes most. Items whose figures have risen by
``items.publish_share`` are published sooner: those of a young shop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bench.scaling_costs import Costs
from bench.scaling_load import Load, Plan
from bench.scaling_notes import notes_on

_US = 1e-6
_MB, _GB, _TB = 1e6, 1e9, 1e12
_MOST_WORKERS = 100_000


def plan(costs: Costs, load: Load) -> Plan:
    """Compute what a load takes.

    Parameters
    ----------
    costs
        Unit costs, measured by :func:`bench.scaling_measure.measure` or written down.
    load
        The load, and the settings that decide what it costs.
    """
    capacity = load.cores_per_worker * load.utilisation
    broadcasts = broadcasts_per_s(load, costs.changes_per_event)
    model_fanout = _model_steps_per_s(costs, load) * costs.models_applied_us * _US
    fanout = broadcasts * costs.item_applied_us * _US + model_fanout
    found = _workers(costs, load, capacity - fanout)
    workers = max(1, found)
    traffic = _traffic(costs, load, workers, broadcasts)
    states = load.users * costs.profile_bytes + load.items * costs.item_bytes
    topics = states + load.users * costs.slate_bytes + load.items * costs.view_bytes
    figures = Plan(
        workers=found,
        **_cores(costs, load, workers)._asdict(),
        fanout_cores_per_worker=fanout,
        fanout_cores=fanout * workers,
        broadcasts_per_s=broadcasts,
        broadcasts_ceiling_per_s=max(0.0, capacity - model_fanout) / (costs.item_applied_us * _US),
        messages_per_s=_batches_per_s(costs, load) * messages_per_batch(costs, load, workers),
        batch_interval_ms=1000.0 * workers / _batches_per_s(costs, load),
        **lessons(costs, load, max(0.0, capacity - fanout))._asdict(),
        **{name: figure / _MB for name, figure in traffic._asdict().items() if name != "kept"},
        replicated_mb_s=traffic.produced_mb_s * load.replication / _MB,
        state_gb=states / _GB,
        state_gb_per_worker=states / workers / _GB,
        kafka_tb=(topics + traffic.kept * load.retention_h * 3600) * load.replication / _TB,
        read_model_mb=load.items * costs.read_model_bytes / _MB,
        worker_mb=costs.worker_mb + load.items * costs.read_model_bytes / _MB,
        restore_s=(load.users + load.items) / workers / costs.restore_records_per_s,
    )
    return figures.with_notes(notes_on(figures, costs, load))


def broadcasts_per_s(load: Load, changes_per_event: float) -> float:
    """Return how many item views are published per second.

    Examples
    --------
    >>> broadcasts_per_s(Load(users=1, items=600, events_per_s=100.0, publish_within_s=60.0), 3.0)
    9.67741935483871
    >>> 600 / (60 + 600 / 300)
    9.67741935483871
    """
    return load.items / (load.publish_within_s + load.items / (load.events_per_s * changes_per_event))


def reached(partitions: int, keys: float) -> float:
    """Return how many of some partitions so many keys are expected to be on.

    Examples
    --------
    >>> reached(1, 500.0), reached(2, 2.0)
    (1.0, 1.5)
    """
    return partitions * (1.0 - math.pow(1.0 - 1.0 / partitions, keys))


def messages_per_batch(costs: Costs, load: Load, partitions: int) -> float:
    """Return how many messages a micro-batch sends: to partitions of the items plane, and to the models plane."""
    return _signals_per_batch(costs, load, partitions) + 1.0


class Lessons(NamedTuple):
    """What the one partition of the models plane is offered, and what it can learn."""

    models_load: float
    examples_offered_per_s: float
    examples_fitting_per_s: float
    training_examples_fitting: int
    choices_learned: float


def lessons(costs: Costs, load: Load, cores: float) -> Lessons:
    """Compute what the models plane is offered, and what of it fits into some cores.

    Parameters
    ----------
    costs
        Unit costs.
    load
        The load.
    cores
        What the one worker with the models partition has for it.
    """
    batches, users = _batches_per_s(costs, load), batch_events(costs, load) * costs.answers_per_event
    per_user = costs.examples_per_message / min(costs.training_examples, costs.batch_events * costs.answers_per_event)
    asked = min(load.training_examples, users)
    room_us = max(0.0, cores / _US / batches - costs.training_us)
    fitting = min(float(asked), room_us / (per_user * costs.example_us))
    setting = load.training_examples if fitting >= asked else math.floor(fitting)
    messages = batches if asked else 0.0
    return Lessons(
        models_load=messages * (costs.training_us + asked * per_user * costs.example_us) * _US,
        examples_offered_per_s=batches * asked * per_user,
        examples_fitting_per_s=batches * min(asked, setting) * per_user,
        training_examples_fitting=setting,
        choices_learned=min(asked, setting) / users,
    )


class _Cores(NamedTuple):
    """Cores of each plane, and of what workers do beside."""

    users_cores: float
    items_cores: float
    models_cores: float
    shell_cores: float


def _cores(costs: Costs, load: Load, workers: int) -> _Cores:
    """Return the cores that everything but the broadcasts takes; the models plane has one worker's at most."""
    events, batches = load.events_per_s, _batches_per_s(costs, load)
    one = load.cores_per_worker * load.utilisation
    return _Cores(
        (events * costs.users_us + batches * messages_per_batch(costs, load, workers) * costs.sent_us) * _US,
        (events * costs.items_us + batches * _signals_per_batch(costs, load, workers) * costs.received_us) * _US,
        min(one, lessons(costs, load, one).models_load),
        events * costs.shell_us * _US,
    )


def _workers(costs: Costs, load: Load, capacity: float) -> int:
    """Return the smallest number of workers, each with some cores for the planes, that is enough; 0 if none is."""
    workers = 1
    while capacity > 0.0 and workers <= _MOST_WORKERS:
        needed = math.ceil(sum(_cores(costs, load, workers)) / capacity)
        if needed <= workers:
            return workers
        workers = needed
    return 0


class _Traffic(NamedTuple):
    """Bytes per second: sent and read, those of them for links, and those kept for a time."""

    produced_mb_s: float
    consumed_mb_s: float
    links_mb_s: float
    kept: float


def _traffic(costs: Costs, load: Load, workers: int, broadcasts: float) -> _Traffic:
    batches, steps = _batches_per_s(costs, load), _model_steps_per_s(costs, load)
    own = batches * messages_per_batch(costs, load, workers) * costs.message_bytes
    others = min(batches, 1.0 / load.broadcast_interval_s) * workers * workers
    links = own + (batches * (workers + 1) + others) * costs.link_bytes
    kept = load.events_per_s * (costs.event_bytes + costs.signal_bytes) + batches * costs.training_bytes + own
    changed = costs.recommendation_bytes + costs.users_changelog_bytes + costs.items_changelog_bytes
    broadcast = broadcasts * costs.view_bytes + steps * costs.model_views_bytes
    produced = kept - own + load.events_per_s * changed + broadcast + steps * costs.models_state_bytes + links
    return _Traffic(produced, kept + workers * broadcast, links, kept)


def _signals_per_batch(costs: Costs, load: Load, partitions: int) -> float:
    return reached(partitions, batch_events(costs, load) * costs.changes_per_event)


def batch_events(costs: Costs, load: Load) -> int:
    """Return how many events a micro-batch of a users partition has."""
    return load.batch_events or costs.batch_events


def _batches_per_s(costs: Costs, load: Load) -> float:
    return load.events_per_s / batch_events(costs, load)


def _model_steps_per_s(costs: Costs, load: Load) -> float:
    return min(_batches_per_s(costs, load), 1.0 / load.broadcast_interval_s)
