"""Left and right taken for each other: found by fitting the recording both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from motorque.fitting.frame_choice import well_seen_frames
from motorque.fitting.ik import CoordinateTask, inverse_kinematics
from motorque.fitting.side_names import swap_sides
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton

FRAMES = 12
"""Frames that are fitted both ways: a swap shows in each of them."""
NO_ERROR = 0.005
"""Marker error below which labels are right [m]: sides that are exchanged leave centimetres."""


@dataclass(frozen=True)
class SwapEvidence:
    """Marker errors of a recording as it is labelled, and with left and right exchanged.

    Args:
        as_labelled: Median over the frames tried of the root mean square error [m].
        exchanged: The same with the labels exchanged [m].
    """

    as_labelled: float
    exchanged: float

    @property
    def swapped(self) -> bool:
        """Whether exchanging the sides at least halves a marker error that is one."""
        return self.as_labelled > NO_ERROR and self.exchanged <= 0.5 * self.as_labelled

    def __str__(self) -> str:
        return (
            f"marker error {1000 * self.as_labelled:.0f} mm as labelled, "
            f"{1000 * self.exchanged:.0f} mm with left and right exchanged"
        )


def exchange_sides(markers: Markers) -> Markers:
    """The same points with every left label on the right and the other way round."""
    mapping = swap_sides(markers.names)
    return Markers(markers.times, markers.positions, tuple(mapping.get(name, name) for name in markers.names))


def side_evidence(
    skeleton: Skeleton,
    markers: Markers,
    *,
    weights: Mapping[str, float] | None = None,
    tasks: Mapping[str, CoordinateTask] | None = None,
) -> SwapEvidence | None:
    """Fit a few frames both ways; None if the names tell no sides or too few markers are there.

    Args:
        skeleton: The skeleton with its markers.
        markers: The recording.
        weights: Marker weights as for the fit itself.
        tasks: Coordinate tasks with one value for all frames.
    """
    mapping = swap_sides(markers.names)
    known = [n for n in markers.names if n in skeleton.marker_names]
    if sum(mapping.get(n, n) != n and mapping.get(n, n) in skeleton.marker_names for n in known) < 4:
        return None
    frames = well_seen_frames(markers.select(known), FRAMES)
    if len(frames) == 0:
        return None
    few = Markers(np.arange(len(frames), dtype=float), markers.positions[frames], markers.names)
    fixed = {n: t for n, t in (tasks or {}).items() if np.ndim(t.value) == 0}
    both = [
        float(np.median(inverse_kinematics(skeleton, m, weights=weights, tasks=fixed, in_sequence=False).rms))
        for m in (few, exchange_sides(few))
    ]
    return SwapEvidence(*both)
