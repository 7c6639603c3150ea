"""The simulated shop over time: shoppers begin sessions, act, leave, and may come again."""

from __future__ import annotations

import math
from collections import deque
from random import Random

from processors.simulator.products import Catalogue
from processors.simulator.sessions import Session, begin
from processors.simulator.tastes import Population

__all__ = ["Crowd"]

MOST = 1_000
ONE_IN = 8
PACE_S = 60.0
TRIES = 16


class Crowd:
    """The sessions under way, and the clock of event time.

    One shopper in eight is in the shop, but never more than a thousand, nor so many that each would act less
    often than once a minute: a session must not fall apart into several by its idle gaps.

    Parameters
    ----------
    population
        Who may come.
    catalogue
        What they look at.
    rate_per_s
        Mean number of events per second.
    sessions_apart
        The least time in seconds between a shopper's sessions.

    Examples
    --------
    >>> from processors.simulator import Simulator
    >>> simulator = Simulator(seed=1, shoppers=200)
    >>> crowd = Crowd(simulator.population, simulator.catalogue, rate_per_s=10, sessions_apart=0)
    >>> session = crowd.step()
    >>> crowd.elapsed_s > 0, len(crowd.sessions)
    (True, 25)
    """

    def __init__(self, population: Population, catalogue: Catalogue, rate_per_s: float, sessions_apart: float) -> None:
        self.sessions: dict[str, Session] = {}
        self.elapsed_s = 0.0
        self._population = population
        self._catalogue = catalogue
        self._rate = rate_per_s
        self._apart = sessions_apart
        self._rng = Random(f"crowd:{population.seed}")
        self._capacity = max(1, min(population.size // ONE_IN, MOST, int(rate_per_s * PACE_S)))
        self._present: list[Session] = []
        self._resting: deque[tuple[float, str]] = deque()
        self._away: set[str] = set()
        self._begun = 0

    def step(self) -> Session:
        """Let the next event happen and return its session, which has just advanced.

        Examples
        --------
        >>> from processors.simulator import Simulator
        >>> simulator = Simulator(seed=1, shoppers=200)
        >>> crowd = Crowd(simulator.population, simulator.catalogue, rate_per_s=10, sessions_apart=0)
        >>> crowd.step().position != crowd.step().position
        True
        """
        self.elapsed_s -= math.log(1.0 - self._rng.random()) / self._rate
        self._let_in()
        at = int(self._rng.random() * len(self._present))
        session = self._present[at]
        session.advance(self._catalogue, self._rng)
        if not session.events_left:
            self._leave(at)
        return session

    def _let_in(self) -> None:
        while self._resting and self._resting[0][0] <= self.elapsed_s:
            self._away.discard(self._resting.popleft()[1])
        while len(self._present) < self._capacity and (number := self._comer()) is not None:
            self._enter(number)
        if not self._present:
            self.elapsed_s, user_id = self._resting.popleft()
            self._away.discard(user_id)
            self._enter(self._population.number(user_id))

    def _comer(self) -> int | None:
        """Draw somebody who is neither here nor resting; after some tries, nobody."""
        for _ in range(TRIES):
            number = self._population.draw(self._rng)
            user_id = self._population.user_id(number)
            if user_id not in self.sessions and user_id not in self._away:
                return number
        return None

    def _enter(self, number: int) -> None:
        self._begun += 1
        session_id = f"session-{self._population.seed}-{self._begun:08d}"
        session = begin(self._catalogue, self._population.shopper(number), session_id, self._rng)
        self.sessions[session.shopper.user_id] = session
        self._present.append(session)

    def _leave(self, at: int) -> None:
        self._present[at], self._present[-1] = self._present[-1], self._present[at]
        user_id = self._present.pop().shopper.user_id
        del self.sessions[user_id]
        if self._apart > 0:
            self._resting.append((self.elapsed_s + self._apart, user_id))
            self._away.add(user_id)
