"""What rules a campaign out before anybody looks at who is there: the request is late, it does not run, no consent."""

from __future__ import annotations

import numpy as np

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid


def remove_late(frame: Frame) -> Frame:
    """Remove all campaigns from opportunities that were over when they were asked for."""
    late = np.array([found.late for found in frame.opportunities], np.bool_)
    frame.remove(late[:, None], NoBid.TOO_LATE)
    return frame


def remove_not_running(frame: Frame) -> Frame:
    """Remove campaigns that are paused, have not begun or are over."""
    columns = frame.columns
    running = (frame.at_ms >= columns.begins) & (frame.at_ms < columns.ends) & ~columns.paused
    frame.remove(~running, NoBid.NOT_RUNNING)
    return frame


def remove_without_consent(frame: Frame) -> Frame:
    """Remove campaigns that need the user where the user has not agreed to be known."""
    contextual = np.array([found.contextual for found in frame.opportunities], np.bool_)
    frame.remove(contextual[:, None] & frame.columns.needs_user, NoBid.NO_CONSENT)
    return frame


LATE = Stage("late", remove_late, gives=(NoBid.TOO_LATE,))
RUNNING = Stage("running", remove_not_running, gives=(NoBid.NOT_RUNNING,))
CONSENT = Stage("consent", remove_without_consent, gives=(NoBid.NO_CONSENT,))
