"""Shifts between cameras: found to a fraction of a frame, told apart from what is no shift, and said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.vision.projection import undistort
from motorque.vision.synchronize import Shifts, in_step, measure_shifts, report_shifts
from motorque.vision.triangulate import triangulate
from two_cameras import looking, seen_by, walker

CAMERAS = [looking(0.4, name="a"), looking(1.7, name="b"), looking(3.4, name="c")]
TIMES = np.arange(120) / 60


def views(clocks: list[float], noise: float = 3.0, speed: float = 1.0) -> list[Keypoints]:
    return [
        seen_by(camera, TIMES, clock=clock, noise=noise, seed=v, speed=speed)
        for v, (camera, clock) in enumerate(zip(CAMERAS, clocks, strict=True))
    ]


@pytest.mark.parametrize("clocks", [[0, 0, 0], [0, 0.1, -0.05], [0, 0.0071, 0.3], [0, -0.41, 0.0125]])
def test_shifts_are_found_to_a_fraction_of_a_frame(clocks: list[float]) -> None:
    found = measure_shifts(views(clocks), CAMERAS)
    np.testing.assert_allclose(found.seconds, clocks, rtol=0, atol=0.002)  # an eighth of a frame
    assert found.measured.all()
    assert (np.abs(found.seconds - clocks) <= 4 * found.std + 1e-4).all()


def test_cameras_of_other_rates_and_starts() -> None:
    times = 0.2 + np.arange(60) / 29.97
    all_views = [*views([0, 0.1, 0])[:2], seen_by(CAMERAS[2], times, clock=-0.06, noise=3.0)]
    found = measure_shifts(all_views, CAMERAS)
    np.testing.assert_allclose(found.seconds, [0, 0.1, -0.06], rtol=0, atol=0.003)


def test_a_calibration_that_is_off_is_not_taken_for_a_shift() -> None:
    off = [replace(each, points=each.points + [15.0, -10.0] * (each is not None)) for each in views([0, 0.05, 0])]
    np.testing.assert_allclose(measure_shifts(off, CAMERAS).seconds, [0, 0.05, 0], rtol=0, atol=0.004)


def test_exchanged_sides_and_gaps_do_not_mislead() -> None:
    wrong = views([0, 0.05, -0.1])
    names = wrong[1].names
    order = [names.index(n[:-1] + {"r": "l", "l": "r"}[n[-1]]) if n != "nose" else 0 for n in names]
    points = wrong[1].points.copy()
    points[40:60] = points[40:60][:, order]
    points[70:75] = np.nan
    wrong[1] = replace(wrong[1], points=points)
    np.testing.assert_allclose(measure_shifts(wrong, CAMERAS).seconds, [0, 0.05, -0.1], rtol=0, atol=0.004)


def test_somebody_who_stands_still_tells_nothing() -> None:
    rng = np.random.default_rng(3)
    still = [
        replace(view, points=view.points[:1] + 3 * rng.standard_normal(view.points.shape)) for view in views([0, 0, 0])
    ]
    found = measure_shifts(still, CAMERAS)
    assert not found.measured[1:].any()
    journal = Journal()
    report_shifts(found, CAMERAS, journal)
    assert [notice.kind for notice in journal.notices] == ["info", "info"]
    assert "too little movement" in journal.notices[0].text


def test_what_is_said() -> None:
    journal = Journal()
    shifts = Shifts(np.array([0.0, 0.08, -0.003]), np.array([0.0, 0.002, 0.002]))
    report_shifts(shifts, CAMERAS, journal)
    assert [notice.kind for notice in journal.notices] == ["warning", "info"]
    assert "start 80 ms (± 2) later than that of camera a" in journal.notices[0].text
    assert "in time with camera a: -3 ms" in journal.notices[1].text


def test_in_step_takes_the_shifts_out() -> None:
    clocks = [0, 0.1, -0.05]
    moved = in_step(views(clocks, noise=0.0), Shifts(np.array(clocks), np.zeros(3)))
    rays = [undistort(camera, view.points) for camera, view in zip(CAMERAS, moved, strict=True)]
    found = triangulate(CAMERAS, rays, [view.confidence for view in moved])
    assert len({len(view.times) for view in moved}) == 1
    truth = walker(moved[0].times)
    assert np.nanmax(np.abs(found.position - truth)) < 0.005  # linear interpolation over 17 ms


def test_in_step_leaves_gaps() -> None:
    here, there, _ = views([0, 0, 0], noise=0.0)
    points = there.points.copy()
    points[50, 3] = np.nan
    late = replace(there, times=there.times + 0.5 / 60, points=points)
    keep = np.r_[0:80, 95:120]  # a quarter of a second is missing
    late = late.frames(keep)
    first, second = in_step([here, late])
    np.testing.assert_array_equal(first.times, second.times)
    missing = ~second.seen
    assert missing[np.searchsorted(first.times, TIMES[50]), 3] and missing[np.searchsorted(first.times, TIMES[51]), 3]
    hole = (first.times > late.times[79]) & (first.times < late.times[80])
    assert missing[hole].all() and not missing[~hole][:, :3].any()
    with pytest.raises(DataError, match="no time in common"):
        in_step([here, replace(there, times=there.times + 9)])


def test_wrong_questions() -> None:
    all_views = views([0, 0, 0])
    with pytest.raises(DataError, match="at least two cameras"):
        measure_shifts(all_views[:1], CAMERAS[:1])
    with pytest.raises(DataError, match="3 videos, but 2 cameras"):
        measure_shifts(all_views, CAMERAS[:2])
    with pytest.raises(DataError, match="too little to tell"):
        measure_shifts([view.frames(np.arange(4)) for view in all_views], CAMERAS)
    with pytest.raises(DataError, match="640x480"):
        measure_shifts([replace(view, size=(640, 480)) for view in all_views], CAMERAS)
    with pytest.raises(DataError, match="share no name"):
        measure_shifts([all_views[0].select(("nose",)), all_views[1].select(("hip_r",))], CAMERAS[:2])
