"""Left and right that a camera exchanged, and cameras that see different people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.vision.associate import check_agreement
from motorque.vision.projection import undistort
from motorque.vision.sides import LOWER, agree_on_sides, steady_sides
from motorque.vision.triangulate import Triangulation, triangulate
from two_cameras import looking, seen_by

CAMERAS = [looking(angle, name=f"cam{k}") for k, angle in enumerate((0.4, 1.7, 3.0, 4.4, 5.2, 5.9))]
TIMES = np.arange(90) / 30


def views(count: int, noise: float = 8.0) -> list[Keypoints]:
    return [seen_by(camera, TIMES, noise=noise, seed=v) for v, camera in enumerate(CAMERAS[:count])]


def exchanged(view: Keypoints, frames: slice, parts: str = "all") -> Keypoints:
    order = np.arange(len(view.names))
    for k, name in enumerate(view.names):
        if name[-2:] in ("_r", "_l") and (parts == "all" or (name[:-2] in LOWER) == (parts == "legs")):
            order[k] = view.names.index(name[:-1] + ("l" if name.endswith("r") else "r"))
    points = view.points.copy()
    points[frames] = points[frames][:, order]
    return replace(view, points=points)


def found(result: tuple[Keypoints, ...], count: int) -> Triangulation:
    rays = [undistort(camera, view.points) for camera, view in zip(CAMERAS, result, strict=False)]
    return triangulate(CAMERAS[:count], rays, [view.confidence for view in result])


@pytest.mark.parametrize("count", [2, 3, 4, 6])
def test_nothing_is_changed_where_nothing_is_wrong(count: int) -> None:
    journal = Journal()
    right = views(count)
    result = agree_on_sides(right, CAMERAS[:count], journal)
    for before, after in zip(right, result, strict=True):
        np.testing.assert_array_equal(after.points, before.points)
    assert journal.notices == []


@pytest.mark.parametrize("count", [2, 3, 4, 6])
@pytest.mark.parametrize("parts", ["all", "legs", "arms"])
def test_exchanged_frames_are_found(count: int, parts: str) -> None:
    right = views(count)
    wrong = list(right)
    which = count - 1
    wrong[which] = exchanged(right[which], slice(30, 55), parts)
    journal = Journal()
    result = agree_on_sides(wrong, CAMERAS[:count], journal)
    for v in range(count):
        same = (result[v].points == right[v].points).all(-1)
        # Legs that cross in the picture are the same either way: a frame at the edges may differ.
        assert same.mean() > 0.98, (v, np.flatnonzero(~same.all(1)))
    said = [notice for notice in journal.notices if notice.about == f"camera cam{which}"]
    assert len(said) == (2 if parts == "all" else 1) and all(notice.kind == "repair" for notice in said)


def test_two_cameras_wrong_at_the_same_time() -> None:
    right = views(4)
    wrong = list(right)
    wrong[0] = exchanged(right[0], slice(20, 50))
    wrong[2] = exchanged(right[2], slice(40, 70))
    result = agree_on_sides(wrong, CAMERAS[:4], Journal())
    for v in range(4):
        assert (result[v].points == right[v].points).all(-1).mean() > 0.98


def test_world_and_confidence_go_along() -> None:
    right = views(3)
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, right[1].points.shape[:2])
    world = rng.standard_normal((*right[1].points.shape[:2], 3))
    marked = replace(right[1], confidence=confidence, world=world)
    names = marked.names
    wrong = exchanged(marked, slice(0, 0))
    order = [names.index(n[:-1] + {"r": "l", "l": "r"}[n[-1]]) if n != "nose" else 0 for n in names]
    points, sure, space = marked.points.copy(), confidence.copy(), world.copy()
    for array in (points, sure, space):
        array[30:55] = array[30:55][:, order]
    wrong = replace(marked, points=points, confidence=sure, world=space)
    result = agree_on_sides([right[0], wrong, right[2]], CAMERAS[:3], Journal())[1]
    np.testing.assert_array_equal(result.confidence[35:50], confidence[35:50])
    assert result.world is not None
    np.testing.assert_array_equal(result.world[35:50], world[35:50])


def test_gaps_are_no_reason() -> None:
    right = views(3)
    points = right[1].points.copy()
    points[10:30] = np.nan
    points[:, 4] = np.nan
    result = agree_on_sides([right[0], replace(right[1], points=points), right[2]], CAMERAS[:3], Journal())
    np.testing.assert_array_equal(result[1].points, points)


@pytest.mark.parametrize("parts", ["all", "legs", "arms"])
def test_one_camera_puts_right_what_jumps_and_comes_back(parts: str) -> None:
    right = seen_by(CAMERAS[0], TIMES, noise=4.0)  # seen from the front, at an angle
    journal = Journal()
    result = steady_sides(exchanged(right, slice(30, 55), parts), journal, about="walk.mp4")
    assert (result.points == right.points).all(-1).mean() > 0.98
    assert len(journal.notices) == (2 if parts == "all" else 1)
    assert journal.notices[0].about == "walk.mp4" and "25 of 90 frames (1.00 to 1.80 s)" in journal.notices[0].text


@pytest.mark.parametrize("rate", [15, 30, 120])
@pytest.mark.parametrize("angle", [0.0, 0.8, np.pi / 2, 2.5, np.pi])
def test_one_camera_leaves_crossing_legs_alone(rate: int, angle: float) -> None:
    times = np.arange(3 * rate) / rate
    right = seen_by(looking(angle), times, noise=4.0)
    journal = Journal()
    np.testing.assert_array_equal(steady_sides(right, journal).points, right.points)
    assert journal.notices == []
    few = right.frames(np.arange(0, len(times), max(1, rate // 5)))  # 5 a second: nothing can be told
    np.testing.assert_array_equal(steady_sides(few, journal).points, few.points)
    assert len(steady_sides(right.frames(np.arange(1)), journal).times) == 1


@pytest.mark.parametrize("count", [2, 4])
def test_a_camera_that_follows_somebody_else_is_named(count: int) -> None:
    right = views(count)
    journal = Journal()
    check_agreement(found(tuple(right), count), CAMERAS[:count], journal)
    assert [notice.kind for notice in journal.notices] == ["info"]
    other = [*right[:-1], replace(right[-1], points=right[-1].points + [400.0, 250.0])]
    journal = Journal()
    check_agreement(found(tuple(other), count), CAMERAS[:count], journal)
    warned = [notice for notice in journal.notices if notice.kind == "warning"]
    assert len(warned) == 1
    assert "another person" in warned[0].text or "different people" in warned[0].text
    assert count == 2 or warned[0].about == "camera cam3"


def test_a_calibration_that_does_not_fit_is_warned_of() -> None:
    off = [[60.0, 45.0], [-60.0, 50.0], [0.0, -60.0]]
    loose = [replace(view, points=view.points + off[v]) for v, view in enumerate(views(3))]
    journal = Journal()
    check_agreement(found(tuple(loose), 3), CAMERAS[:3], journal)
    assert any(notice.kind == "warning" for notice in journal.notices)


def test_a_camera_that_hardly_sees_the_person_is_named() -> None:
    right = views(3)
    points = right[2].points.copy()
    points[4:] = np.nan
    journal = Journal()
    check_agreement(found((right[0], right[1], replace(right[2], points=points)), 3), CAMERAS[:3], journal)
    assert any("hardly ever" in notice.text and notice.about == "camera cam2" for notice in journal.notices)
