"""The plan of scaling: figures as one computes them by hand from round unit costs, and the ceilings it names."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.scaling_costs import Costs
from bench.scaling_load import Load
from bench.scaling_notes import events_advised, publish_within_needed_s
from bench.scaling_plan import broadcasts_per_s, lessons, messages_per_batch, plan, reached

COSTS = Costs(
    users_us=400.0,
    items_us=100.0,
    sent_us=10.0,
    received_us=20.0,
    training_us=1_000.0,
    example_us=5.0,
    item_applied_us=50.0,
    models_applied_us=1_000.0,
    shell_us=100.0,
    worker_mb=500.0,
    answers_per_event=0.8,
    changes_per_event=4.0,
    examples_per_message=64.0,
    broadcasts_per_event=0.5,
    broadcasts_ratio=1.0,
    event_bytes=300.0,
    recommendation_bytes=8_000.0,
    signal_bytes=200.0,
    users_changelog_bytes=500.0,
    items_changelog_bytes=1_000.0,
    slate_bytes=5_000.0,
    training_bytes=10_000.0,
    view_bytes=1_000.0,
    model_views_bytes=10_000.0,
    models_state_bytes=40_000.0,
    message_bytes=100.0,
    link_bytes=25.0,
    profile_bytes=1_000.0,
    item_bytes=2_000.0,
    read_model_bytes=5_000.0,
    restore_records_per_s=100_000.0,
    batch_events=500,
    training_examples=32,
    users=1,
    items=1,
    warm_events=1,
    events=1,
    busy=0.0,
    machine="",
    python="",
    date="",
)
SMALL = Load(users=1e6, events_per_s=500.0, items=60_000, training_examples=32)


def changed(load: Load, **settings: Any) -> Load:
    return msgspec.structs.replace(load, **settings)


def test_a_small_load_takes_one_worker() -> None:
    # One micro-batch a second, two messages: to one partition of items, and to the models.
    found = plan(COSTS, SMALL)
    assert found.workers == 1
    assert found.users_cores == pytest.approx(500 * 400e-6 + 2 * 10e-6, rel=1e-3)
    assert found.items_cores == pytest.approx(500 * 100e-6 + 20e-6, rel=1e-3)
    assert found.models_cores == found.models_load == pytest.approx(1_000e-6 + 64 * 5e-6, rel=1e-3)
    assert found.shell_cores == pytest.approx(0.05)
    assert found.batch_interval_ms == 1_000.0
    assert found.messages_per_s == 2.0


def test_an_item_is_published_after_an_interval_and_the_next_change() -> None:
    # 2,000 changes a second: each of 60,000 items every 30 s, so each is published every 60 + 30 s.
    assert plan(COSTS, SMALL).broadcasts_per_s == pytest.approx(60_000 / 90, rel=1e-3)
    assert broadcasts_per_s(changed(SMALL, publish_within_s=30.0), 4.0) == pytest.approx(1_000.0)


def test_every_worker_takes_over_every_broadcast() -> None:
    found = plan(COSTS, changed(SMALL, events_per_s=5_000.0))
    # 20,000 changes: every 3 s; and four steps of the models plane.
    each = 60_000 / 63 * 50e-6 + 4 * 1_000e-6
    assert found.fanout_cores_per_worker == pytest.approx(each, rel=1e-3)
    assert found.fanout_cores == pytest.approx(each * found.workers, rel=1e-3)
    assert found.broadcasts_ceiling_per_s == pytest.approx((0.6 - 0.004) / 50e-6, rel=1e-3)


def test_the_workers_are_the_fewest_that_are_enough() -> None:
    load = changed(SMALL, events_per_s=5_000.0)
    found = plan(COSTS, load)

    def work(workers: int) -> float:
        messages = 10 * (reached(workers, 2_000.0) * 30e-6 + 10e-6)
        return 5_000 * 600e-6 + messages + 10 * (1_000e-6 + 64 * 5e-6)

    free = 0.6 - found.fanout_cores_per_worker
    assert work(found.workers) <= found.workers * free
    assert all(work(fewer) > fewer * free for fewer in range(1, found.workers))


def test_more_workers_do_not_help_where_broadcasts_fill_one() -> None:
    found = plan(COSTS, Load(users=1e6, events_per_s=1e6, items=1_000_000))
    assert found.broadcasts_per_s > found.broadcasts_ceiling_per_s
    assert found.workers == 0
    assert publish_within_needed_s(COSTS, Load(users=1, events_per_s=1, items=1_000_000)) == 334, "50 s of CPU / 0.15"
    assert any("items.publish_within_ms=334000" in note for note in found.notes)
    assert "nothing is left for the models plane beside the broadcasts" in found.notes


def test_fewer_examples_where_the_models_plane_is_full() -> None:
    # 200 messages a second: a quarter of a core is 1,250 µs for each, 1,000 for the message and 10 for each user in it.
    found = lessons(COSTS, changed(SMALL, events_per_s=100_000.0), 0.25)
    assert found.models_load == pytest.approx(200 * 1_320e-6)
    assert found.training_examples_fitting == 25
    assert found.examples_offered_per_s == 200 * 64
    assert found.examples_fitting_per_s == 200 * 25 * 2
    assert found.choices_learned == 25 / 400


def test_all_examples_fit_a_small_load() -> None:
    found = lessons(COSTS, SMALL, 0.5)
    assert found.training_examples_fitting == 32
    assert found.choices_learned == 32 / 400


def test_larger_micro_batches_where_messages_alone_fill_the_models_plane() -> None:
    load = changed(SMALL, events_per_s=1e6)
    assert lessons(COSTS, load, 0.5).training_examples_fitting == 0
    events = events_advised(COSTS, load, 0.5)
    assert events == 4_000, "250 messages of 1,000 µs are a quarter of a core"
    assert lessons(COSTS, changed(load, batch_events=events), 0.5).training_examples_fitting == 32
    assert any("micro-batches of" in note for note in plan(COSTS, changed(load, items=1_000)).notes)


def test_a_setting_of_no_examples_sends_no_messages() -> None:
    found = lessons(COSTS, changed(SMALL, training_examples=0), 0.5)
    assert (found.models_load, found.examples_offered_per_s, found.choices_learned) == (0.0, 0.0, 0.0)


def test_messages_reach_the_partitions_of_the_items_and_the_models_plane() -> None:
    assert messages_per_batch(COSTS, SMALL, 1) == 2.0
    assert messages_per_batch(COSTS, SMALL, 1_000) == pytest.approx(1_000 * (1 - 0.999**2_000) + 1)


def test_bytes() -> None:
    found = plan(COSTS, SMALL)
    # Partners: one of items and the models in the position of users, and users in that of items.
    own, positions = 2 * 100.0, (2 + 1) * 25.0
    views = 60_000 / 90 * 1_000.0
    assert found.links_mb_s * 1e6 == pytest.approx(own + positions, rel=1e-3)
    # Per event 10,000 bytes; examples, models and their views once a second.
    produced = 500 * 10_000.0 + 10_000 + 40_000 + 10_000 + views + own + positions
    assert found.produced_mb_s * 1e6 == pytest.approx(produced, rel=1e-3)
    assert found.replicated_mb_s == pytest.approx(3 * found.produced_mb_s, rel=1e-3)
    assert found.consumed_mb_s * 1e6 == pytest.approx(500 * 500.0 + 10_000 + own + views + 10_000, rel=1e-3)


def test_states_and_memory() -> None:
    found = plan(COSTS, SMALL)
    assert found.state_gb == found.state_gb_per_worker == 1.12
    assert found.read_model_mb == 300.0
    assert found.worker_mb == 800.0
    assert found.restore_s == pytest.approx(1_060_000 / 100_000)
    kept = (500 * 500.0 + 10_000 + 200) * 168 * 3600
    assert found.kafka_tb * 1e12 == pytest.approx(3 * (1.12e9 + 5e9 + 60e6 + kept), rel=1e-3)


def test_positions_of_users_and_items_name_each_other() -> None:
    load = changed(SMALL, events_per_s=5_000.0)
    found = plan(COSTS, load)
    assert found.workers > 1
    # Ten micro-batches a second name all partitions of items, and four steps of each of these all of users.
    positions = (10 * (found.workers + 1) + 4 * found.workers**2) * 25.0
    own = 10 * messages_per_batch(COSTS, load, found.workers) * 100.0
    assert found.links_mb_s * 1e6 == pytest.approx(own + positions, rel=1e-3)


def test_items_beyond_the_read_models_bound_are_named() -> None:
    assert "read_model.max_items=300000 (default 200000)" in plan(COSTS, changed(SMALL, items=300_000)).notes
    assert not any("max_items" in note for note in plan(COSTS, SMALL).notes)


def test_disks_and_partitions_are_named_where_they_are_large() -> None:
    notes = " ".join(plan(COSTS, changed(SMALL, events_per_s=1e6, items=1_000)).notes)
    assert "topics.retention_hours" in notes
    assert "replicas on the brokers" in notes
    assert plan(COSTS, changed(SMALL, users=1e4)).notes == ()


def test_a_long_restore_is_named() -> None:
    assert any("keep worker.state_dir" in note for note in plan(COSTS, changed(SMALL, users=1e8)).notes)
