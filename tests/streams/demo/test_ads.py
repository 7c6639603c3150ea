"""The demo's shoppers and their ads, beside users who try it out."""

from processors.ads.messages import AdDecision
from processors.simulator import Simulator
from streams.demo.ads import AdMeasurements, reactions


def decision(user: str, cid: str | None) -> AdDecision:
    return AdDecision("ads.requests.v1/0/0/ad", user, "top", "2025-06-02T10:15:00Z", cid=cid, crid=cid and "a")


def test_somebody_who_tries_the_demo_out_is_left_to_themselves() -> None:
    measurements = AdMeasurements(Simulator(1, 200))
    cid = next(iter(measurements.campaigns()))
    assert reactions(decision("ada", cid), measurements) == []
    assert (measurements.decided, measurements.filled) == (0, 0)
    shopper = measurements._simulator.population.user_id(7)
    topics = [topic for topic, _ in reactions(decision(shopper, cid), measurements)]
    assert topics[0] == "events.impression.v1"
    assert reactions(decision(shopper, None), measurements) == []
    assert (measurements.decided, measurements.filled) == (2, 1)
