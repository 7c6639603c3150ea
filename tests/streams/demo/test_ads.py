"""The demo's shoppers and their ads, beside users who try it out."""

from processors.ads.messages import AdDecision
from processors.simulator import Simulator
from streams.demo.ads import AdWatch, reactions


def decision(user: str, cid: str | None) -> AdDecision:
    return AdDecision("ads.requests.v1/0/0/ad", user, "top", "2025-06-02T10:15:00Z", cid=cid, crid=cid and "a")


def test_somebody_who_tries_the_demo_out_is_left_to_themselves() -> None:
    watch = AdWatch(Simulator(1, 200))
    cid = next(iter(watch.campaigns()))
    assert reactions(decision("ada", cid), watch) == []
    assert (watch.decided, watch.filled) == (0, 0)
    shopper = watch._simulator.population.user_id(7)
    topics = [topic for topic, _ in reactions(decision(shopper, cid), watch)]
    assert topics[0] == "events.impression.v1"
    assert reactions(decision(shopper, None), watch) == []
    assert (watch.decided, watch.filled) == (2, 1)
