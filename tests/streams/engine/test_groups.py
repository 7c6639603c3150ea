"""People like you, from end to end: what a group chooses reaches a member who has seen none of it."""

from typing import Any

from processors.planes.users_settings import UsersSettings
from processors.ranking.gathering import Gatherer
from processors.ranking.settings import RankingSettings
from processors.ranking.sources import SourceSettings
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings
from tests.streams.engine.test_driver import click, slates


def test_what_a_group_chooses_reaches_members_that_nothing_else_leads_to_it() -> None:
    """Campers and readers look at categories of their own, one item a session, so that nothing is viewed together."""
    ranking = RankingSettings(sources=SourceSettings(off=()))
    driver = TopologyDriver(Settings(users=UsersSettings(ranking=ranking)))
    second = 0

    def look(user: str, item: str, category: str) -> None:
        nonlocal second
        second += 3600
        click(driver, user, item, second, category=category)

    for turn in range(8):
        for n in range(6):
            look(f"camper {n}", f"stove {turn}", "camping")
            look(f"reader {n}", f"novel {turn}", "novels")
    driver.flush()
    views = driver.topology.users.read.groups.views
    labels = [view.labels[0] for view in views]
    assert sorted(labels) == ["camping", "novels"]
    camping = views[labels.index("camping")]
    assert set(camping.items) <= {f"stove {turn}" for turn in range(8)}
    for at in range(3):
        look("new camper", f"rope {at}", "camping")
    driver.read("recommendations.v1")
    look("new camper", "rope 3", "camping")
    message: dict[str, Any] = slates(driver)["new camper", "discover"]
    source = Gatherer(SourceSettings(off=())).gather(
        [driver.state("users")["new camper"]], [driver.now], driver.topology.users.read
    )
    proposed = {driver.topology.index.ids[slot] for slot in source.slots[source.proposed_by("group")].tolist()}
    assert proposed == set(camping.items)
    assert proposed & {item["item_id"] for item in message["items"]}
