"""The tables of ``docs/scaling.md``, made of the unit costs in ``docs/scaling.json``.

``python -m bench.scaling_page --write`` writes them anew. A new ``docs/scaling.json`` are the costs of a result of
``nearstream bench scaling --through-kafka --json``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.scaling import read_costs
from bench.scaling_costs import Costs
from bench.scaling_load import Load, Plan
from bench.scaling_notes import events_advised, publish_within_needed_s
from bench.scaling_plan import plan

FOLDER = Path(__file__).resolve().parent.parent / "docs"
PAGE, COSTS = FOLDER / "scaling.md", FOLDER / "scaling.json"

_BLOCK = re.compile(r"(<!-- made: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

EXAMPLES = {
    "1 M users, 10,000/s": Load(users=1e6, events_per_s=1e4, items=100_000),
    "1 M users, 1,000,000/s": Load(users=1e6, events_per_s=1e6, items=100_000),
    "100 M users, 10,000/s": Load(users=1e8, events_per_s=1e4, items=1_000_000),
    "100 M users, 1,000,000/s": Load(users=1e8, events_per_s=1e6, items=1_000_000),
}
"""The examples, with the settings as they are by default."""

_COSTS = {
    "users_us": "users plane, per event, µs",
    "items_us": "items plane, per event, µs",
    "shell_us": "a worker beside computing (Kafka's client, Faust, the store), per event, µs",
    "sent_us": "message sent by the users plane, µs",
    "received_us": "message of signals taken in by the items plane, µs",
    "training_us": "models plane, per message without its examples, µs",
    "example_us": "models plane, per example, µs",
    "item_applied_us": "item view taken over by one worker, µs",
    "models_applied_us": "all models' views taken over by one worker, µs",
    "worker_mb": "resident memory of a worker that has drained 50,000 events, MB",
    "answers_per_event": "users answered per event",
    "changes_per_event": "items changed per event",
    "examples_per_message": "examples per message",
    "broadcasts_per_event": "item views published per event, in the young shop that is measured",
    "broadcasts_ratio": "item views published by a shop that is hours old, relative to the formula",
    "event_bytes": "an event, bytes",
    "recommendation_bytes": "slates per event, bytes",
    "signal_bytes": "signals per event, bytes",
    "users_changelog_bytes": "changelog of users per event, bytes",
    "items_changelog_bytes": "changelog of items per event, bytes",
    "slate_bytes": "a slate, bytes",
    "training_bytes": "a message of examples, bytes",
    "view_bytes": "an item view, bytes",
    "model_views_bytes": "all models' views, bytes",
    "models_state_bytes": "state of the models, bytes",
    "message_bytes": "another message between planes that carries the same, bytes",
    "link_bytes": "a partner in the position of a partition, bytes",
    "profile_bytes": "a user's state, bytes",
    "item_bytes": "an item's state, bytes",
    "read_model_bytes": "an item in the memory of each worker, bytes",
    "restore_records_per_s": "records of a changelog taken in by a store per CPU-second",
}

_PLAN = {
    "workers": "workers, and partitions",
    "users_cores": "cores: users plane",
    "items_cores": "items plane",
    "models_cores": "models plane, one partition",
    "shell_cores": "Kafka's client, Faust, stores",
    "fanout_cores": "broadcasts, all workers",
    "fanout_cores_per_worker": "broadcasts, each worker",
    "broadcasts_per_s": "item views published per second",
    "broadcasts_ceiling_per_s": "so many would fill a worker",
    "batch_interval_ms": "ms in which a partition gathers a micro-batch",
    "messages_per_s": "messages between planes per second",
    "models_load": "cores that the models plane would take",
    "examples_offered_per_s": "examples sent per second",
    "examples_fitting_per_s": "examples that fit",
    "training_examples_fitting": "largest `training_examples` that fits",
    "choices_learned": "share of choices learned from then",
    "produced_mb_s": "MB/s sent to Kafka",
    "replicated_mb_s": "MB/s with three replicas",
    "consumed_mb_s": "MB/s read by workers",
    "links_mb_s": "MB/s of positions and of messages' own bytes",
    "state_gb": "GB of states on workers' disks",
    "state_gb_per_worker": "GB on each",
    "kafka_tb": "TB on brokers' disks, a week kept, three replicas",
    "read_model_mb": "MB of items in the memory of each worker",
    "worker_mb": "MB of a worker with them",
    "restore_s": "CPU-seconds to take in a worker's share again",
}

_ALWAYS = frozenset(
    {
        "fanout_cores_per_worker",
        "broadcasts_per_s",
        "broadcasts_ceiling_per_s",
        "models_load",
        "examples_offered_per_s",
        "state_gb",
        "read_model_mb",
        "worker_mb",
    }
)
"""Figures that do not depend on the number of workers."""


def page(text: str, costs: Costs) -> str:
    """Return the text of the page with its tables made anew.

    Parameters
    ----------
    text
        The page, with blocks ``<!-- made: NAME -->`` to ``<!-- end -->``.
    costs
        Unit costs.
    """
    made = tables(costs)
    return _BLOCK.sub(lambda block: f"{block[1]}{made[block[2]]}\n{block[3]}", text)


def tables(costs: Costs) -> dict[str, str]:
    """Return the tables and lists of the page by name."""
    plans = {name: plan(costs, load) for name, load in EXAMPLES.items()}
    changed = {name: _as_advised(costs, load) for name, load in EXAMPLES.items() if plans[name].notes}
    figures = msgspec.structs.asdict(costs)
    return {
        "machine": _machine(costs),
        "costs": _table(("what", "figure"), ((text, _figure(figures[name])) for name, text in _COSTS.items())),
        "ceilings": _table(("what", "figure"), ((text, _figure(figure)) for text, figure in ceilings(costs).items())),
        "examples": _plans(plans),
        "commands": "\n".join(f"- {name}: `{_command(load)}`" for name, load in EXAMPLES.items()),
        "notes": "\n".join(f"- {name}: {note}." for name, found in plans.items() for note in found.notes),
        "advised": _plans({name: found for name, (_, found) in changed.items()}),
        "advised commands": "\n".join(f"- {name}: `{_command(load)}`" for name, (load, _) in changed.items()),
    }


def ceilings(costs: Costs) -> dict[str, float]:
    """Return where the design has its ceilings, by what they are of, with default settings."""
    load = Load(users=1, events_per_s=1)
    one_us = load.cores_per_worker * load.utilisation * 1e6
    messages = one_us / (costs.training_us + costs.examples_per_message * costs.example_us)
    views = one_us / costs.item_applied_us
    event_us = costs.users_us + costs.items_us + costs.shell_us
    bytes_per_event = costs.recommendation_bytes + costs.users_changelog_bytes + costs.items_changelog_bytes
    bytes_per_event += costs.event_bytes + costs.signal_bytes
    return {
        "a worker with all planes, events per second": one_us / event_us,
        "share of its CPU that is Kafka's client, Faust and the store": costs.shell_us / event_us,
        "bytes sent to Kafka per event, without messages of examples and broadcasts": bytes_per_event,
        "share of these that are slates": costs.recommendation_bytes / bytes_per_event,
        "models plane, messages per second": messages,
        "models plane, examples per second in them": messages * costs.examples_per_message,
        "events per second of the system at which it is full": messages * costs.batch_events,
        "the same with one user's examples per message": one_us / costs.training_us * costs.batch_events,
        "item views per second that fill a worker": views,
        "items that are published as often with `publish_within_ms` at 60 s": views * load.publish_within_s,
        "items whose views take a quarter of a worker": views * load.publish_within_s / 4,
    }


def _machine(costs: Costs) -> str:
    return (
        f"{costs.date}, {costs.machine}, Python {costs.python}; other work on the machine, "
        f"{costs.busy:.0%} of all cores' time in use. {costs.users:,} shoppers, {costs.items:,} items, "
        f"{costs.events:,} events after {costs.warm_events:,}, in micro-batches of {costs.batch_events}."
    )


def _as_advised(costs: Costs, load: Load) -> tuple[Load, Plan]:
    """Return a load with the settings changed as its plan's notes say, and the plan then."""
    within_s = max(load.publish_within_s, float(publish_within_needed_s(costs, load)))
    load = msgspec.structs.replace(load, publish_within_s=within_s)
    found = plan(costs, load)
    if not found.training_examples_fitting:
        free = load.cores_per_worker * load.utilisation - found.fanout_cores_per_worker
        load = msgspec.structs.replace(load, batch_events=events_advised(costs, load, free))
        found = plan(costs, load)
    load = msgspec.structs.replace(load, training_examples=found.training_examples_fitting)
    return load, plan(costs, load)


def _command(load: Load) -> str:
    """Return the command that prints the plan for a load."""
    options = {
        "--users": f"{load.users:.0f}",
        "--events-per-s": f"{load.events_per_s:.0f}",
        "--items": f"{load.items:.0f}",
    }
    default = Load(users=load.users, events_per_s=load.events_per_s)
    if load.publish_within_s != default.publish_within_s:
        options["--publish-within"] = f"{load.publish_within_s:.0f}"
    if load.training_examples != default.training_examples:
        options["--training-examples"] = str(load.training_examples)
    if load.batch_events:
        options["--batch-events"] = str(load.batch_events)
    return "nearstream bench scaling --costs docs/scaling.json " + " ".join(map(" ".join, options.items()))


def _plans(plans: Mapping[str, Plan]) -> str:
    rows = ((text, *(_cell(found, name) for found in plans.values())) for name, text in _PLAN.items())
    return _table(("", *plans), rows)


def _cell(found: Plan, name: str) -> str:
    if found.workers or name in _ALWAYS:
        return _figure(getattr(found, name))
    return "none is enough" if name == "workers" else "–"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---", *("---:" for _ in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _figure(figure: float) -> str:
    """Return a figure with as many digits as it deserves.

    Examples
    --------
    >>> _figure(1234567), _figure(12.34), _figure(0.0456), _figure(0)
    ('1,234,567', '12.3', '0.0456', '0')
    """
    return f"{figure:,.0f}" if figure >= 100 or figure == int(figure) else f"{figure:.3g}"


def main() -> None:
    """Print the page with its tables made anew, or write it."""
    made = page(PAGE.read_text(encoding="utf-8"), read_costs(COSTS))
    if "--write" in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
    else:
        print(made, end="")


if __name__ == "__main__":
    main()
