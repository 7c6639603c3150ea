"""Days of ads in seconds: several workers, one killed in the middle, and a visitors' account of it all."""

import pytest

from bench.ads_day import run_ads_day
from bench.ads_visitors import Account, planned
from processors.common.time import DAY_MS


@pytest.mark.kafka
def test_ledgers_are_what_the_visitors_say_though_a_worker_is_killed(kafka_tools: None) -> None:
    result = run_ads_day(workers=2, kills=1, campaigns=12, days=1, day_s=25.0, rate=50.0, users=100)
    assert result.decisions == result.requests > 500
    assert result.filled > 200
    assert result.spent_up > 0
    assert (result.doubled, result.wrong_ledgers, result.over_caps, result.over_budget_worst) == (0, 0, 0, 0.0)


def test_the_account_sees_what_is_beyond_the_caps() -> None:
    account, campaigns = Account(), {"c": {"frequency": {"per_hour": 2}}}
    for n, at_ms in enumerate((0, 1, 3_600_000, 3_600_001)):
        account.decision({"decision_id": f"d{n}", "user_id": "u", "cid": "c"}, at_ms)
    assert account.over_caps(campaigns) == 0
    account.decision({"decision_id": "d9", "user_id": "u", "cid": "c"}, 3_600_002)
    account.decision({"decision_id": "d9", "user_id": "u", "cid": "c"}, 3_600_003)
    assert (account.over_caps(campaigns), account.doubled) == (1, 1)


def test_the_plan_is_all_of_the_traffic_at_the_end_of_a_day() -> None:
    assert planned(DAY_MS - 1) == pytest.approx(1.0, abs=0.001)
