"""A ceiling over smoothing that found its own strength: never more passes than through the usual filter of gait.

What a recording says of its noise can be misread: optical motion capture was smoothed before, so that at 120 Hz hardly
anything tells what is left of its noise from movement, least of all on the three channels of the root's place. Let
through, a tenth of a millimetre makes thousands of newtons. So rotations and place go through a low-pass without delay
after they were smoothed. Where the recording is noisy enough to ask for more, nearly nothing is left for it to take.

What it takes was movement in part. As much of it as stands between the ceiling and twice its frequency is kept for
error bars: torques of walking fall with the square of the frequency or faster, by which seven eighths of the power
beyond the ceiling lie there, and beyond 12 Hz optical motion capture is mostly noise.
"""

from __future__ import annotations

import dataclasses

from motorque.errors import DataError
from motorque.fitting.pose_smoothing import SmoothedPoses
from motorque.series.poses import Poses
from motorque.signals.filters import butterworth

CEILING = 6.0
"""Cutoff through which everything goes unless said otherwise [Hz]: the usual one of gait, and the one that
SMPL-Dynamics recommends for walking (arXiv 2605.24776, section 4.3)."""


def under_ceiling(smoothed: SmoothedPoses, ceiling: float | None = None) -> SmoothedPoses:
    """Smoothed poses after a fourth-order Butterworth low-pass without delay, on rotations and place alike.

    Args:
        smoothed: Of `fitting.pose_smoothing.smooth_poses`.
        ceiling: Cutoff [Hz]; if None, :data:`CEILING`, or nothing where the frame rate has no such frequency.

    Returns:
        The same with ``poses`` after the low-pass, ``ceiling`` its cutoff and ``higher`` the poses after one of twice
        the cutoff, or as they were smoothed where there is no such frequency.

    Raises:
        DataError: A ceiling that was asked for is at or above half the frame rate.
    """
    rate = smoothed.poses.rate
    if ceiling is None:
        if CEILING >= rate / 2:
            return smoothed
        ceiling = CEILING
    elif ceiling >= rate / 2:
        raise DataError(
            f"poses: a cutoff of {ceiling:g} Hz is not below half the frame rate of {rate:g} Hz; choose one below "
            f"{rate / 2:g} Hz"
        )
    higher = smoothed.poses if 2 * ceiling >= rate / 2 else _filtered(smoothed, 2 * ceiling)
    return dataclasses.replace(smoothed, poses=_filtered(smoothed, ceiling), ceiling=ceiling, higher=higher)


def _filtered(smoothed: SmoothedPoses, cutoff: float) -> Poses:
    poses, chart = smoothed.poses, smoothed.chart
    if chart is None:
        raise ValueError("poses without the chart that they were smoothed in")
    vectors = butterworth(chart.vectors(poses.rotations), poses.rate, cutoff, what="poses")
    place = butterworth(poses.translation, poses.rate, cutoff, what="translation of poses")
    return dataclasses.replace(poses, rotations=chart.rotations(vectors), translation=place)
