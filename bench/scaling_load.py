"""A load, and the plan for it."""

from __future__ import annotations

from typing import Self

import msgspec


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A load, and the settings that decide what it costs.

    Parameters
    ----------
    users, items
        Users with a profile, items with a state.
    events_per_s
        Events per second.
    cores_per_worker, utilisation
        Cores that a worker can use, one as it computes in one thread; and the share of them that is planned for.
    publish_within_s
        ``items.publish_within_ms`` in seconds.
    broadcast_interval_s
        ``worker.broadcast_interval_ms`` in seconds.
    training_examples
        ``users.ranking.training_examples``: users per micro-batch from whose choice the ranker learns, at most.
    batch_events
        Events of a users partition's micro-batch; 0 for as many as were measured.
    replication, retention_h
        ``topics.replication`` and ``topics.retention_hours``.
    """

    users: float
    events_per_s: float
    items: float = 100_000
    cores_per_worker: float = 1.0
    utilisation: float = 0.6
    publish_within_s: float = 60.0
    broadcast_interval_s: float = 0.25
    training_examples: int = 16
    batch_events: int = 0
    replication: int = 3
    retention_h: float = 168.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a load takes.

    Parameters
    ----------
    workers
        Workers, and partitions of every topic; 0 if no number is enough, and other figures are then those of one.
    users_cores, items_cores, models_cores, shell_cores
        Cores that each of these planes takes, and what workers do beside the planes.
    fanout_cores_per_worker, fanout_cores
        Cores that taking over broadcasts takes, in each worker and in all.
    broadcasts_per_s, broadcasts_ceiling_per_s
        Item views published per second, and how many fill a worker, so that nothing is left for the planes.
    messages_per_s
        Messages between planes per second.
    batch_interval_ms
        Time in which a users partition gathers a micro-batch as full as those that were measured.
    models_load
        Cores that the models plane would take for all that it is sent. It has one partition, hence one worker.
    examples_offered_per_s, examples_fitting_per_s
        Examples per second that are sent to it, and that it can learn beside the broadcasts.
    training_examples_fitting
        Largest ``users.ranking.training_examples`` at which what is sent fits, up to the load's.
    choices_learned
        Share of the users with events of a micro-batch from whose choice the ranker learns then.
    produced_mb_s, replicated_mb_s, consumed_mb_s
        Megabytes per second that apps and workers send to Kafka, the same with all replicas, and what workers read.
    links_mb_s
        Part of ``produced_mb_s`` that grows with the partitions: positions, and bytes of messages beside what they say.
    state_gb, state_gb_per_worker
        States on the workers' disks.
    kafka_tb
        Terabytes on the brokers' disks with replicas: compacted topics, and what is kept for ``retention_h``.
    read_model_mb
        Memory of the read model of items, in each worker.
    worker_mb
        Memory of a worker: what was measured, and the read model of the load's items.
    restore_s
        CPU-seconds in which a new worker's stores take in its share of the changelogs.
    notes
        Ceilings that are hit, and what to set or change.
    """

    workers: int
    users_cores: float
    items_cores: float
    models_cores: float
    shell_cores: float
    fanout_cores_per_worker: float
    fanout_cores: float
    broadcasts_per_s: float
    broadcasts_ceiling_per_s: float
    messages_per_s: float
    batch_interval_ms: float
    models_load: float
    examples_offered_per_s: float
    examples_fitting_per_s: float
    training_examples_fitting: int
    choices_learned: float
    produced_mb_s: float
    replicated_mb_s: float
    consumed_mb_s: float
    links_mb_s: float
    state_gb: float
    state_gb_per_worker: float
    kafka_tb: float
    read_model_mb: float
    worker_mb: float
    restore_s: float
    notes: tuple[str, ...] = ()

    def with_notes(self, notes: tuple[str, ...]) -> Self:
        """Return the plan with its figures rounded to four digits, and with notes."""
        rounded = {
            name: float(f"{figure:.4g}")
            for name, figure in msgspec.structs.asdict(self).items()
            if isinstance(figure, float)
        }
        return msgspec.structs.replace(self, **rounded, notes=notes)
