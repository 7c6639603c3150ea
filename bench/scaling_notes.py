"""Where a plan meets a ceiling of the design, in words, and what to set or change then."""

from __future__ import annotations

import math

from bench.scaling_costs import Costs
from bench.scaling_load import Load, Plan
from streams.engine.topology import topic_specs
from streams.settings.sections import ReadModelSettings, Settings

_MUCH = 0.25
_SLOW_MS = 1_000.0
_SLOW_RESTORE_S = 60.0
_MANY_REPLICAS = 10_000
_LARGE_TB = 100.0


def notes_on(plan: Plan, costs: Costs, load: Load) -> tuple[str, ...]:
    """Say which ceilings a plan meets.

    Parameters
    ----------
    plan
        The plan, without notes.
    costs, load
        What it was computed from.
    """
    capacity = load.cores_per_worker * load.utilisation
    notes = [_on_fanout(plan, costs, load, capacity), _on_models(plan, costs, load, capacity), _on_memory(load)]
    if plan.workers:
        notes += [_on_links(plan), _on_batches(plan), _on_restore(plan), _on_brokers(plan, load), _on_disks(plan, load)]
    return tuple(note for note in notes if note)


def _on_fanout(plan: Plan, costs: Costs, load: Load, capacity: float) -> str:
    if plan.fanout_cores_per_worker < _MUCH * capacity:
        return ""
    within_s = publish_within_needed_s(costs, load)
    share = plan.fanout_cores_per_worker / capacity
    return (
        f"broadcasts take {share:.0%} of what every worker has, and more workers do not make that less: "
        f"items.publish_within_ms={within_s * 1000} makes item views a quarter at most"
    )


def _on_models(plan: Plan, costs: Costs, load: Load, capacity: float) -> str:
    if plan.training_examples_fitting >= load.training_examples:
        return ""
    if plan.training_examples_fitting > 0:
        return (
            f"the models plane is one partition and would take {plan.models_load:.1f} cores: "
            f"users.ranking.training_examples={plan.training_examples_fitting}"
        )
    free = capacity - plan.fanout_cores_per_worker
    if free <= 0.0:
        return "nothing is left for the models plane beside the broadcasts"
    return (
        f"the models plane is one partition and would take {plan.models_load:.1f} cores, too many for its messages "
        f"alone: micro-batches of {events_advised(costs, load, free)} events (worker.commit_interval_ms, "
        "worker.batch_max_records), or messages from a part of the micro-batches only, which needs a change of the code"
    )


def events_advised(costs: Costs, load: Load, cores: float) -> int:
    """Return the events of a micro-batch at which messages of examples, without them, take half of some cores."""
    return math.ceil(2.0 * load.events_per_s * costs.training_us * 1e-6 / cores)


def publish_within_needed_s(costs: Costs, load: Load) -> int:
    """Return the seconds between two publications of an item at which views take a quarter of a worker at most."""
    return math.ceil(load.items * costs.item_applied_us * 1e-6 / (_MUCH * load.cores_per_worker * load.utilisation))


def _on_memory(load: Load) -> str:
    most = ReadModelSettings().max_items
    return "" if load.items <= most else f"read_model.max_items={math.ceil(load.items)} (default {most})"


def _on_links(plan: Plan) -> str:
    share = plan.links_mb_s / plan.produced_mb_s
    if share < _MUCH:
        return ""
    return (
        f"{share:.0%} of what is sent are positions and messages' own bytes, which grow with the square of the "
        "partitions: a longer worker.broadcast_interval_ms and larger micro-batches make them fewer"
    )


def _on_batches(plan: Plan) -> str:
    if plan.batch_interval_ms <= _SLOW_MS:
        return ""
    return f"a partition gathers {plan.batch_interval_ms:.0f} ms for such a micro-batch: smaller ones take more cores"


def _on_restore(plan: Plan) -> str:
    if plan.restore_s <= _SLOW_RESTORE_S:
        return ""
    return f"a worker without its disk is back after {plan.restore_s:.0f} s at the earliest: keep worker.state_dir"


def _on_brokers(plan: Plan, load: Load) -> str:
    topics = len(topic_specs(Settings()))
    replicas = plan.workers * topics * load.replication
    if replicas <= _MANY_REPLICAS:
        return ""
    return (
        f"{plan.workers} partitions of {topics} topics are {replicas} replicas on the brokers, and every worker reads "
        "all partitions of the broadcast topics: fewer partitions there need a change of the code"
    )


def _on_disks(plan: Plan, load: Load) -> str:
    if plan.kafka_tb <= _LARGE_TB:
        return ""
    return (
        f"most of {plan.kafka_tb:.0f} TB on the brokers are events and messages of the last {load.retention_h:.0f} "
        "hours: lower topics.retention_hours, or have the brokers compress (compression.type)"
    )
