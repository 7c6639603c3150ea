"""The benchmark of the click model finds what there is to learn, and refuses what is no log."""

import gzip
import random
from pathlib import Path

import pytest

from bench.ads_baskets import run_baskets
from bench.ads_learning import run_ads_learning
from bench.clicks import run_clicks
from processors.common.errors import NearstreamError


def test_what_decides_a_click_is_learned(tmp_path: Path) -> None:
    draw = random.Random(3)
    lines = ["id,click,hour,site"]
    for n in range(3000):
        site = draw.choice("abcd")
        lines.append(f"{n},{int(draw.random() < (0.6 if site == 'a' else 0.1))},14102100,{site}")
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    result = run_clicks(file)
    assert (result.data, result.rows) == ("log.csv.gz", 3000)
    assert result.normalised_entropy < 0.9
    assert 0.9 < result.calibration < 1.1
    assert len(result.deciles) == 10


def test_lines_with_tabs_are_read(tmp_path: Path) -> None:
    file = tmp_path / "log.tsv"
    numbers = "\t".join(["1", "", "300", *"0000000000"])
    file.write_text("\n".join(f"{n % 2}\t{numbers}\tx{n % 2}\ty" for n in range(400)))
    assert run_clicks(file).log_loss < 0.5


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "7\t1\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(text)
    with pytest.raises(NearstreamError, match=r"log\.csv"):
        run_clicks(file)


def test_ads_for_baskets_are_better_than_chance(tmp_path: Path) -> None:
    draw = random.Random(5)
    arms = ["MILK", "BREAD", "TEA"]
    (tmp_path / "arms.csv").write_text("\n".join(["arm", *arms]))
    requests = ["request_id,timestamp,user_id,clicked_arms"]
    events = ["request_id,user_id,item_id,event_type,timestamp,price,category"]
    for n in range(400):
        user, time_s = n % 9, 1_483_277_315 + 9000 * n
        wanted = [arm for at, arm in enumerate(arms) if draw.random() < (0.8 if user % 3 == at else 0.05)]
        requests.append(f"{n},{time_s},{user},{';'.join(wanted)}")
        events += [f"{n},{user},{arm}-1,purchase,{time_s},1.5,{arm}" for arm in wanted]
    for name, rows in (("baskets", requests), ("basket_events", events)):
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    result = run_baskets(tmp_path)
    assert (result.requests, result.arms) == (400, 3)
    assert result.ctr_last_half > 1.4 * result.uniform
    assert run_baskets(tmp_path).ctr == result.ctr, "chance is drawn from the ids"
    with pytest.raises(NearstreamError, match=r"baskets\.csv\.gz is missing"):
        run_baskets(tmp_path / "nothing")


def test_ads_are_learned_and_predictions_are_true() -> None:
    result = run_ads_learning(visits=3_000, users=60)
    assert result.shown == result.visits == 3_000
    assert result.clicks_by_chance < result.last_third <= result.clicks_of_oracle
    assert result.against_chance > 1.5
    assert 0.7 < result.calibration < 1.4
