"""What one event, message, example, broadcast, user and item costs: the figures that a plan is computed from."""

from __future__ import annotations

import msgspec


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Unit costs. Times are CPU-microseconds, sizes bytes of keys, values and headers as they are sent: uncompressed.

    Parameters
    ----------
    users_us, items_us
        Per event, in the users plane and in the items plane, without what each message takes.
    sent_us, received_us
        Per message: sent by the users plane, taken in by the items plane.
    training_us, example_us
        In the models plane: per message without its examples, and per example.
    item_applied_us, models_applied_us
        For one worker's read models: per item view, and per set of views that one step of the models plane publishes.
    shell_us
        Per event, what a worker takes beside computing: Kafka's client, Faust, the store. 0 if it was not measured.
    worker_mb
        Resident memory of a worker that has drained some events, millions of bytes; 0 if it was not measured.
    answers_per_event, changes_per_event, examples_per_message
        Users that get slates per event; items that an event changes; examples in a message.
    broadcasts_per_event, broadcasts_ratio
        Item views published per event of the young shop that is measured; and those of a shop that is some hours old
        in simulated time, relative to what the plan's formula says of it.
    event_bytes, recommendation_bytes, signal_bytes, users_changelog_bytes, items_changelog_bytes
        Per event, on the topics of these names.
    slate_bytes, training_bytes, view_bytes, model_views_bytes, models_state_bytes
        Of one message: a slate, training examples, an item view; all views, and the state, of one models step.
    message_bytes, link_bytes
        Of a message between planes beside what it says, and of one partner in the position of a partition.
    profile_bytes, item_bytes, read_model_bytes
        Of a user's and of an item's state; of an item in a worker's memory.
    restore_records_per_s
        Records of a changelog that a store takes in, per CPU-second.
    batch_events, training_examples
        Events of a micro-batch, and ``users.ranking.training_examples``.
    users, items, warm_events, events
        Simulated shoppers and products, events before the measurement and in it.
    busy
        Share of the time of all cores that was not idle, whoever used it.
    """

    users_us: float
    items_us: float
    sent_us: float
    received_us: float
    training_us: float
    example_us: float
    item_applied_us: float
    models_applied_us: float
    shell_us: float = 0.0
    worker_mb: float = 0.0
    answers_per_event: float
    changes_per_event: float
    examples_per_message: float
    broadcasts_per_event: float
    broadcasts_ratio: float
    event_bytes: float
    recommendation_bytes: float
    signal_bytes: float
    users_changelog_bytes: float
    items_changelog_bytes: float
    slate_bytes: float
    training_bytes: float
    view_bytes: float
    model_views_bytes: float
    models_state_bytes: float
    message_bytes: float
    link_bytes: float
    profile_bytes: float
    item_bytes: float
    read_model_bytes: float
    restore_records_per_s: float
    batch_events: int
    training_examples: int
    users: int
    items: int
    warm_events: int
    events: int
    busy: float
    machine: str
    python: str
    date: str
