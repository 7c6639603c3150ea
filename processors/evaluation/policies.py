"""Policies to be evaluated on a log: each returns the probability of each action in each row, shape (n, actions).

Where actions were not available, their probability is spread over the available ones in proportion; a row in which the
policy has no available action is all zeros, and evaluation leaves it out.
"""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Floats
from processors.evaluation.feedback import Feedback


def uniform(feedback: Feedback) -> Floats:
    """Return the policy that takes every available action with the same probability."""
    return everywhere(feedback, np.full(feedback.n_actions, 1.0 / feedback.n_actions))


def fixed(feedback: Feedback, action: int) -> Floats:
    """Return the policy that always takes the same action."""
    return everywhere(feedback, np.eye(feedback.n_actions)[action])


def everywhere(feedback: Feedback, probabilities: Floats) -> Floats:
    """Return the policy with the same probabilities, shape (actions,), in every row, as far as actions are available.

    Examples
    --------
    >>> available = np.array([[True, True, False], [False, False, True]])
    >>> log = Feedback(np.array([0, 2]), np.zeros(2), np.ones(2), 3, available)
    >>> everywhere(log, np.array([0.25, 0.25, 0.5])).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    if feedback.available is None:
        return np.broadcast_to(probabilities, (len(feedback), feedback.n_actions))
    found = np.where(feedback.available, probabilities, 0.0)
    found /= np.maximum(found.sum(axis=1, keepdims=True), _TINY)
    return found


def best(feedback: Feedback, learned: Feedback, smoothing: float) -> Floats:
    """Return the policy that takes the available action with the highest mean reward in another part of the log.

    It takes the first of several actions with equal means; actions that the log never took come last.

    Parameters
    ----------
    feedback
        The log to be evaluated on.
    learned
        The part of the log that the means are taken from. If it shares rows with ``feedback``, the estimates are too
        high.
    smoothing
        Rows at which an action's own mean counts as much as the mean of all actions.

    Examples
    --------
    >>> log = Feedback(np.array([0, 1, 1, 1]), np.array([0.0, 1.0, 0.0, 1.0]), np.full(4, 0.5), 3)
    >>> best(log, log, smoothing=1.0)[0].tolist()
    [0.0, 1.0, 0.0]
    """
    shown = np.bincount(learned.actions, minlength=learned.n_actions)
    earned = np.bincount(learned.actions, learned.rewards, learned.n_actions)
    mean = float(learned.rewards.mean()) if len(learned) else 0.0
    means = (earned + smoothing * mean) / np.maximum(shown + smoothing, _TINY)
    order = np.lexsort((np.arange(len(means)), -means, shown == 0))
    if feedback.available is None:
        return fixed(feedback, int(order[0]))
    found = np.zeros((len(feedback), feedback.n_actions))
    found[np.arange(len(feedback)), order[feedback.available[:, order].argmax(axis=1)]] = 1.0
    return found


_TINY = 1e-12
