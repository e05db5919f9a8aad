"""Keypoints of several cameras brought together: one step, everything that it notices said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.vision.several_cameras import agreeing_views, triangulate_keypoints
from two_cameras import looking, seen_by, walker

CAMERAS = [looking(angle, name=f"cam{k}") for k, angle in enumerate((0.4, 1.7, 3.0))]
TIMES = np.arange(90) / 30


def test_other_rates_are_brought_in_step_and_a_shift_is_said() -> None:
    views = [
        seen_by(CAMERAS[0], TIMES, noise=2.0),
        seen_by(CAMERAS[1], 0.3 + np.arange(150) / 60, noise=2.0, seed=1),
        seen_by(CAMERAS[2], TIMES[:80], clock=0.1, noise=2.0, seed=2),
    ]
    journal = Journal()
    together = agreeing_views(views, CAMERAS, journal)
    for view in together:
        np.testing.assert_array_equal(view.times, together[0].times)
    assert together[0].times[0] >= 0.3 and together[0].times[-1] <= TIMES[79]
    said = {notice.about: notice for notice in journal.notices}
    assert said["camera cam1"].kind == "info" and "in time" in said["camera cam1"].text
    assert said["camera cam2"].kind == "warning" and "later" in said["camera cam2"].text


def test_points_in_space() -> None:
    views = agreeing_views([seen_by(camera, TIMES) for camera in CAMERAS], CAMERAS, Journal())
    found = triangulate_keypoints(views, CAMERAS)
    np.testing.assert_allclose(found.position, walker(TIMES), rtol=0, atol=1e-9)
    with pytest.raises(DataError, match="different times"):
        triangulate_keypoints([views[0], views[1].between(end=1.0), views[2]], CAMERAS)


def test_a_single_camera_stays_as_it_is() -> None:
    view = seen_by(CAMERAS[0], TIMES)
    assert agreeing_views([view], CAMERAS[:1], Journal()) == (view,)


def test_one_frame_is_enough() -> None:
    journal = Journal()
    views = [seen_by(camera, TIMES[:1]) for camera in CAMERAS]
    assert len(agreeing_views(views, CAMERAS, journal)[2].times) == 1
    assert any("not measured" in notice.text for notice in journal.notices)


def test_a_camera_that_never_sees_the_person() -> None:
    views = [seen_by(camera, TIMES) for camera in CAMERAS]
    views[1] = replace(views[1], points=np.full_like(views[1].points, np.nan))
    journal = Journal()
    agreeing_views(views, CAMERAS, journal)
    assert any("hardly ever" in notice.text and notice.about == "camera cam1" for notice in journal.notices)
    nobody = [replace(view, points=np.full_like(view.points, np.nan)) for view in views]
    journal = Journal()
    agreeing_views(nobody, CAMERAS, journal)
    assert any(notice.kind == "warning" for notice in journal.notices)


def test_wrong_questions() -> None:
    views = [seen_by(camera, TIMES) for camera in CAMERAS]
    with pytest.raises(DataError, match="3 videos, but 2 cameras"):
        agreeing_views(views, CAMERAS[:2], Journal())
    with pytest.raises(DataError, match="no time in common"):
        agreeing_views([views[0], replace(views[1], times=TIMES + 60)], CAMERAS[:2], Journal())
