"""Which frames of a recording stand for it: those in which the markers are seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.series import Markers

_WELL_SEEN = 0.9
"""Share of the markers of a good frame (the 90th percentile of all) that a frame must show."""


def well_seen_frames(markers: Markers, count: int) -> NDArray[np.int_]:
    """Up to ``count`` frames, evenly drawn from those that show about as many markers as the recording ever does.

    Recordings begin before a person enters the cameras' view and end after; frames from there tell nothing.

    Args:
        markers: A recording.
        count: How many frames are wanted.

    Returns:
        Indices in order, shape [at most count]; empty where no marker is ever seen.
    """
    seen = markers.seen.sum(axis=1)
    if not seen.any():
        return np.zeros(0, dtype=int)
    good = np.flatnonzero(seen >= _WELL_SEEN * np.percentile(seen[seen > 0], 90))
    return good[np.unique(np.linspace(0, len(good) - 1, count).round().astype(int))]
