"""Candidates of the users of a world, with their features."""

from processors.common.arrays import Features
from processors.ranking.candidates import Candidates
from processors.ranking.features import features_of
from processors.ranking.gathering import Gatherer
from tests.processors.worlds import NOW, World


def scene(world: World) -> tuple[Candidates, Features]:
    read, gatherer = world.read(), Gatherer(world.settings.sources)
    candidates = gatherer.gather(world.users, [NOW] * len(world.users), read)
    return candidates, features_of(candidates, read.items)
