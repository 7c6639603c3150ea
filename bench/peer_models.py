"""What the ranking is compared with: models that are refitted now and then, and two that learn from every event.

All of them see the same events and are asked for the same lists. Items and users are numbered from zero in the order in
which they first come.
"""

from __future__ import annotations

import warnings
from collections import defaultdict, deque
from itertools import chain
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender
from implicit.utils import ParameterWarning
from river.reco import BiasedMF
from scipy.sparse import csr_matrix

Scores = npt.NDArray[np.float64]

DEPTH = 100
"""Items of a list; what the user has touched is taken out of it afterwards for first-time events."""


class Peer(Protocol):
    """A recommender to compare with."""

    name: str

    def learn(self, user: int, item: int, time_ms: int) -> None:
        """Take in an event."""
        ...

    def refit(self) -> None:
        """Learn anew from everything so far; models that learn event by event do nothing."""
        ...

    def listed(self, user: int) -> list[int]:
        """Return items for a user now, best first."""
        ...


def best(scores: Scores, k: int = DEPTH, above: float = 0.0) -> list[int]:
    """Return the numbers of the ``k`` highest scores that are above a bound, highest first.

    Examples
    --------
    >>> best(np.array([0.0, 2.0, 1.0, 3.0]), 2)
    [3, 1]
    """
    if len(scores) > k:
        top = np.argpartition(-scores, k)[:k]
        top = top[np.argsort(-scores[top], kind="stable")]
    else:
        top = np.argsort(-scores, kind="stable")
    return [int(number) for number in top if scores[number] > above]


def _fit(model: Any, matrix: csr_matrix) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # the library converts a matrix of its own making
        model.fit(matrix, show_progress=False)


class _Refitted:
    """Keeps every user's items for a model that is refitted on them."""

    def __init__(self) -> None:
        self.histories: dict[int, dict[int, float]] = defaultdict(dict)
        self.items = 0

    def learn(self, user: int, item: int, time_ms: int) -> None:  # noqa: ARG002  # the protocol's signature
        """Count the event."""
        history = self.histories[user]
        history[item] = history.get(item, 0.0) + 1.0
        self.items = max(self.items, item + 1)

    def matrix(self) -> csr_matrix:
        """Return the counts as a matrix of shape (users, items)."""
        users = max(self.histories, default=-1) + 1
        rows = [user for user, history in self.histories.items() for _ in history]
        columns = list(chain.from_iterable(self.histories.values()))
        counts = list(chain.from_iterable(history.values() for history in self.histories.values()))
        return csr_matrix((np.array(counts, np.float32), (rows, columns)), shape=(users, self.items))


class Bm25(_Refitted):
    """Items like those of the user's history, by BM25-weighted co-occurrence (implicit's, K1 = 1.2, B = 0.75)."""

    name = "bm25"

    def __init__(self) -> None:
        super().__init__()
        self._similarity: Any = None

    def refit(self) -> None:
        """Compute the similarity of all pairs of items anew, the 100 best of each."""
        model = BM25Recommender(K=100, K1=1.2, B=0.75, num_threads=1)
        _fit(model, self.matrix())
        self._similarity = model.similarity

    def listed(self, user: int) -> list[int]:
        """Return items by the sum of their similarity to what the user has touched up to now."""
        if self._similarity is None:
            return []
        known = self._similarity.shape[0]
        rows = [(item, count) for item, count in self.histories.get(user, {}).items() if item < known]
        if not rows:
            return []
        numbers, counts = np.array(rows).T
        found: Scores = np.asarray(counts @ self._similarity[numbers.astype(np.int64)]).ravel()
        return best(found)


class Als(_Refitted):
    """Implicit-feedback matrix factorization by alternating least squares, the user folded in at each question.

    References
    ----------
    Y. Hu, Y. Koren, C. Volinsky, "Collaborative filtering for implicit feedback datasets", ICDM 2008.
    """

    name = "als"
    factors, regularization, alpha = 64, 0.05, 10.0

    def __init__(self) -> None:
        super().__init__()
        self._vectors: Scores | None = None
        self._gram: Scores | None = None

    def refit(self) -> None:
        """Factorize anew: 15 iterations."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # threads of the BLAS: these matrices are small
            model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=15,
                num_threads=1,
                random_state=7,
            )
        _fit(model, self.matrix())
        self._vectors = np.asarray(model.item_factors, np.float64)
        self._gram = self._vectors.T @ self._vectors + self.regularization * np.eye(self.factors)

    def listed(self, user: int) -> list[int]:
        """Return items by the factors; the user's are solved for from what the user has touched up to now."""
        vectors, gram = self._vectors, self._gram
        if vectors is None or gram is None:
            return []
        history = {item: count for item, count in self.histories.get(user, {}).items() if item < len(vectors)}
        if not history:
            return []
        mine = vectors[list(history)]
        trust = self.alpha * np.array(list(history.values()))
        # Confidence is alpha * count in the library, and 1 where there is none.
        left = gram + mine.T @ (mine * (trust - 1.0)[:, None])
        return best(vectors @ np.linalg.solve(left, mine.T @ trust), above=-np.inf)


class SessionKnn:
    """Items of the sessions most like the running one, in the form of VMIS-kNN.

    References
    ----------
    B. Kersbergen, O. Sprangers, S. Schelter, "Serenade - low-latency session-based recommendation in e-commerce at
    scale", SIGMOD 2022.
    """

    name = "session_knn"
    idle_ms, recent_sessions, neighbours, length = 1_800_000, 500, 100, 10

    def __init__(self) -> None:
        self._running: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._sessions: list[dict[int, int]] = []
        self._with: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=self.recent_sessions))
        self._counts: dict[int, int] = defaultdict(int)

    def learn(self, user: int, item: int, time_ms: int) -> None:
        """Append the event to the user's session, which ends after half an hour without one."""
        if user not in self._running or time_ms - self._last[user] > self.idle_ms:
            self._running[user] = len(self._sessions)
            self._sessions.append({})
        number = self._running[user]
        session = self._sessions[number]
        if item not in session:
            self._with[item].append(number)
            self._counts[item] += 1
        session.pop(item, None)
        session[item] = time_ms
        self._last[user] = time_ms

    def refit(self) -> None:
        """Do nothing: it learns from every event."""

    def listed(self, user: int) -> list[int]:
        """Return items of the sessions nearest to the running one.

        A session is near if it shares items with it, and later items of the running one weigh more.
        """
        if user not in self._running:
            return []
        own = self._running[user]
        items = list(self._sessions[own])[-self.length :]
        similarity: dict[int, float] = defaultdict(float)
        latest: dict[int, int] = {}
        for position, item in enumerate(items, 1):
            for number in self._with[item]:
                if number != own:
                    similarity[number] += position / len(items)
                    latest[number] = position
        nearest = sorted(similarity, key=lambda number: (similarity[number], number), reverse=True)[: self.neighbours]
        scores: dict[int, float] = defaultdict(float)
        total = len(self._sessions)
        for number in nearest:
            weight = similarity[number] * (1.0 - 0.1 * (len(items) - latest[number]))
            for item in self._sessions[number]:
                scores[item] += weight * (1.0 + np.log(total / self._counts[item]))
        return sorted(scores, key=lambda item: (-scores[item], item))[:DEPTH]


class RiverBiasedMf:
    """River's matrix factorization with biases, trained with 1 for the item touched and 0 for two that were not.

    Those two are drawn from the popular items. It ranks the 300 most popular items and the user's own: it has no way to
    propose any by itself.
    """

    name = "river_biased_mf"
    ranked, negatives = 300, 2

    def __init__(self) -> None:
        self._model: Any = BiasedMF(n_factors=10, seed=7)
        self._counts: dict[int, int] = defaultdict(int)
        self._own: dict[int, dict[int, None]] = defaultdict(dict)
        self._popular: list[int] = []
        self._random = np.random.default_rng(7)
        self._learned = 0

    def learn(self, user: int, item: int, time_ms: int) -> None:  # noqa: ARG002  # the protocol's signature
        """Take one step for the item, and one for each of some that were not touched."""
        self._counts[item] += 1
        self._own[user][item] = None
        if self._learned % 500 == 0:
            self._popular = sorted(self._counts, key=lambda other: -self._counts[other])[: self.ranked]
        self._learned += 1
        self._model.learn_one(user, item, 1.0)
        for at in self._random.integers(0, len(self._popular), self.negatives).tolist():
            if self._popular[at] not in self._own[user]:
                self._model.learn_one(user, self._popular[at], 0.0)

    def refit(self) -> None:
        """Do nothing: it learns from every event."""

    def listed(self, user: int) -> list[int]:
        """Return the candidates by what the model predicts."""
        candidates = list(dict.fromkeys([*self._popular, *self._own.get(user, {})]))
        predicted = [self._model.predict_one(user, item) for item in candidates]
        return [candidates[at] for at in np.argsort(-np.array(predicted), kind="stable")[:DEPTH].tolist()]


PEERS: tuple[type[Peer], ...] = (Als, Bm25, SessionKnn, RiverBiasedMf)
"""All peers."""
