"""What rules a campaign out before anybody looks at who is there: the request is late, it does not run, no consent.

Nor does a campaign take part of which no creative is approved.
"""

from __future__ import annotations

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.compiled import kernel


def remove_late(frame: Frame) -> Frame:
    """Remove all campaigns from opportunities that were over when they were asked for."""
    _remove_late(frame.removed, frame.late, int(NoBid.TOO_LATE))
    return frame


def remove_not_running(frame: Frame) -> Frame:
    """Remove campaigns that are paused, have not begun or are over."""
    columns = frame.columns
    dates = (columns.begins, columns.ends, columns.paused)
    _remove_not_running(frame.removed, frame.at_ms, *dates, int(NoBid.NOT_RUNNING))
    return frame


def remove_unapproved(frame: Frame) -> Frame:
    """Remove campaigns of which no creative is approved. Of others, columns have only those that are."""
    _remove_unapproved(frame.removed, frame.columns.unapproved)
    return frame


def remove_without_consent(frame: Frame) -> Frame:
    """Remove campaigns that need the user where the user has not agreed to be known."""
    _remove_without_consent(frame.removed, frame.contextual, frame.columns.needs_user, int(NoBid.NO_CONSENT))
    return frame


@kernel
def _remove_late(removed, late, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_late` does."""
    for row in range(len(removed)):
        if late[row]:
            for campaign in range(removed.shape[1]):
                if removed[row, campaign] == 0:
                    removed[row, campaign] = code


@kernel
def _remove_not_running(removed, at_ms, begins, ends, paused, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_not_running` does."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            running = begins[campaign] <= at_ms[row] < ends[campaign] and not paused[campaign]
            if removed[row, campaign] == 0 and not running:
                removed[row, campaign] = code


@kernel
def _remove_unapproved(removed, codes):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_unapproved` does."""
    for campaign in range(len(codes)):
        if codes[campaign] != 0:
            for row in range(len(removed)):
                if removed[row, campaign] == 0:
                    removed[row, campaign] = codes[campaign]


@kernel
def _remove_without_consent(removed, contextual, needs_user, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_without_consent` does."""
    for row in range(len(removed)):
        if contextual[row]:
            for campaign in range(removed.shape[1]):
                if removed[row, campaign] == 0 and needs_user[campaign]:
                    removed[row, campaign] = code


LATE = Stage("late", remove_late, gives=(NoBid.TOO_LATE,))
RUNNING = Stage("running", remove_not_running, gives=(NoBid.NOT_RUNNING,))
APPROVAL = Stage("approval", remove_unapproved, gives=(NoBid.REJECTED, NoBid.PENDING))
CONSENT = Stage("consent", remove_without_consent, gives=(NoBid.NO_CONSENT,))
