"""``nearstream bench scaling``: unit costs, and what they say of a load."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.scaling_costs import Costs
from bench.scaling_load import Load, Plan
from bench.scaling_measure import measure
from bench.scaling_plan import plan
from bench.scaling_worker import measure_shell
from processors.common.errors import NearstreamError


class ScalingResult(msgspec.Struct, frozen=True):
    """Result, one JSON line: what was measured, for which load, and what that takes."""

    costs: Costs
    load: Load
    plan: Plan


def run_scaling(
    load: Load, costs: Path | None = None, through_kafka: bool = False, brokers: str | None = None
) -> ScalingResult:
    """Measure unit costs, unless there are some already, and compute what a load takes.

    Parameters
    ----------
    load
        The load.
    costs
        File of unit costs: those of an earlier result, whose line it may also be.
    through_kafka
        Whether to measure a worker too, for what it does beside the planes.
    brokers
        Brokers for that, without Nearstream's records; by default an Apache Kafka is started.
    """
    known = read_costs(costs) if costs else measure(shell=(lambda: measure_shell(brokers)) if through_kafka else None)
    return ScalingResult(known, load, plan(known, load))


def read_costs(path: Path) -> Costs:
    """Read unit costs from a file of them, or from a result of this benchmark.

    Raises
    ------
    NearstreamError
        If there are none in it.
    """
    try:
        found = msgspec.json.decode(path.read_bytes())
        return msgspec.convert(found.get("costs", found) if isinstance(found, dict) else found, Costs)
    except msgspec.MsgspecError as error:
        raise NearstreamError(f"{path}: {error}, expected costs of bench scaling --json") from error
