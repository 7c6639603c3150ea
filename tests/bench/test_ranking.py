"""The benchmark of ranking alone: it ranks for whom it says, and parts cost less than the whole."""

from bench.ranking import run_ranking


def test_it_ranks_for_the_users_who_came_last() -> None:
    result = run_ranking(events=1500, users=20, runs=2, seen=(60, 100))
    assert (result.data, result.events, result.users, result.runs) == ("simulator", 1500, 20, 2)
    assert result.candidates > 60
    assert result.history > 1
    assert 0 < result.rank_us <= result.rank_us_median
