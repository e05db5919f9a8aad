"""What several calibrated cameras saw, brought together before anything is fitted to it."""

from __future__ import annotations

from collections.abc import Sequence

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Camera, Keypoints
from motorque.vision.associate import check_agreement
from motorque.vision.projection import undistort
from motorque.vision.ray_gaps import check_pairs, shared_names
from motorque.vision.sides import agree_on_sides
from motorque.vision.synchronize import in_step, measure_shifts, report_shifts
from motorque.vision.triangulate import Triangulation, triangulate


def agreeing_views(views: Sequence[Keypoints], cameras: Sequence[Camera], journal: Journal) -> tuple[Keypoints, ...]:
    """Keypoints of several cameras at the same times, with sides exchanged back where the cameras show that they were.

    What else the cameras tell about each other is recorded: a shift in time (measured, not taken out), a camera that
    follows another person, a calibration that does not fit.

    Args:
        views: One per camera; a single one is returned as it is.
        cameras: Calibrated, for the size of these pictures.
        journal: Where all of it is recorded.

    Returns:
        One per camera, at the first one's times as far as all share them.

    Raises:
        DataError: Numbers or sizes of views and cameras differ, or the videos have no time or no keypoint in common.
    """
    if len(views) == len(cameras) == 1:
        return tuple(views)
    check_pairs(views, cameras)
    shared_names(views)
    together = in_step(views)
    try:
        report_shifts(measure_shifts(views, cameras), cameras, journal)
    except DataError as error:
        journal.info(f"whether the cameras are in time was not measured: {error}")
    together = agree_on_sides(together, cameras, journal)
    check_agreement(triangulate_keypoints(together, cameras), cameras, journal)
    return together


def triangulate_keypoints(views: Sequence[Keypoints], cameras: Sequence[Camera]) -> Triangulation:
    """The points that all views name, in the first one's order, in space.

    Args:
        views: One per camera, with the same times.
        cameras: Calibrated, for the size of these pictures.

    Raises:
        DataError: As :func:`~motorque.vision.triangulate.triangulate`, or the views have different times.
    """
    check_pairs(views, cameras)
    names = shared_names(views)
    if len({len(view.times) for view in views}) > 1:
        raise DataError("the views have different times; bring them in step first")
    picked = [view.select(names) for view in views]
    rays = [undistort(camera, view.points) for camera, view in zip(cameras, picked, strict=True)]
    return triangulate(cameras, rays, [view.confidence for view in picked])
