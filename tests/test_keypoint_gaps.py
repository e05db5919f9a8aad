"""Recordings with holes: frames without anybody, and times without frames."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.fitting.keypoint_fit import fit_keypoints
from motorque.fitting.keypoint_gaps import continuous
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.skeleton.fullbody import fullbody
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.workflows.video import VideoOptions
from motorque.workflows.video_results import Found, Given, _evidence
from test_keypoint_fit import camera, off, see, squats


def shown(seconds: float = 3.0) -> Keypoints:
    times, _, points = squats(seconds)
    return see(camera(), times, points)


def without(view: Keypoints, first: float, last: float) -> Keypoints:
    """The view without the frames between two times [s]."""
    return view.frames(np.flatnonzero((view.times < first) | (view.times > last)))


def told(journal: Journal) -> str:
    return " ".join(notice.text for notice in journal.notices if notice.kind == "warning")


def test_a_recording_without_holes_stays_as_it_is() -> None:
    view, journal = shown(), Journal()
    (same,) = continuous([view], journal)
    np.testing.assert_array_equal(same.times, view.times)
    assert not journal.notices


def test_a_pause_gets_empty_frames_and_is_told() -> None:
    view, journal = shown(), Journal()
    (filled,) = continuous([without(view, 1.02, 2.02)], journal)
    np.testing.assert_allclose(filled.times, view.times, atol=1e-9)
    np.testing.assert_array_equal(filled.seen.any(1), (view.times < 1.02) | (view.times > 2.02))
    assert "from 1.00 to 2.03 s" in told(journal)


@pytest.mark.parametrize("hidden", [False, True])
def test_at_a_long_hole_the_recording_is_cut(hidden: bool) -> None:
    view, journal = shown(9.0), Journal()
    if hidden:
        points = view.points.copy()
        points[(view.times > 2.0) & (view.times < 5.0)] = np.nan
        view = dataclasses.replace(view, points=points)
    else:
        view = without(view, 2.01, 4.99)
    (part,) = continuous([view], journal)
    assert part.times[0] == pytest.approx(5.0, abs=0.04) and part.times[-1] == pytest.approx(9.0)
    assert "0.00 to 2.00 s, 5.00 to 9.00 s" in told(journal) and "--start" in told(journal)


def test_one_late_stamp_takes_no_memory() -> None:
    view = shown()
    late = dataclasses.replace(view, times=np.append(view.times[:-1], 30000.0))
    (part,) = continuous([late], Journal())
    assert len(part.times) == len(view.times) - 1


def test_frames_too_far_apart_are_refused() -> None:
    view = shown()
    slow = dataclasses.replace(view, times=view.times * 15)
    with pytest.raises(DataError, match="0.5 s apart"):
        continuous([slow], Journal())


def test_the_motion_in_a_pause_is_bounded_and_less_sure() -> None:
    times, q, points = squats()
    view = without(see(camera(), times, points), 1.02, 1.98)
    fit = fit_keypoints(fullbody(), [view], height=1.70, journal=Journal())
    assert off(fit, times, q).max() < 12.0
    assert fit.motion.std is not None
    knee = fit.motion.names.index("knee_angle_r")
    inside = np.abs(fit.motion.times - 1.5) < 0.2
    sure = (np.abs(fit.motion.times - 1.5) > 0.7) & (np.abs(fit.motion.times - 1.5) < 1.3)
    assert fit.motion.std[inside, knee].min() > 1.6 * fit.motion.std[sure, knee].max()


def test_a_long_recording_with_a_pause_at_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    from motorque.fitting import keypoint_fit as module

    for name, value in (("LONGEST", 5.0), ("SHORT", 1.0), ("STRETCH", 3.0), ("OVERLAP", 0.5)):
        monkeypatch.setattr(module, name, value)
    times, q, points = squats(9.0)
    view = without(see(camera(), times, points), 2.9, 3.9)
    fit = fit_keypoints(fullbody(), [view], height=1.70, journal=Journal())
    assert len(fit.motion.times) == len(times)
    assert off(fit, times, q).max() < 12.0


def test_the_report_shows_the_keypoints_that_were_fitted() -> None:
    """Cameras of other frame rates, and one in which sides are exchanged for a while."""
    times, _, points = squats()
    pair = [camera(30.0), camera(-50.0)]
    views = [see(cam, times, points) for cam in pair]
    swapped = views[1].points.copy()
    names = list(views[1].names)
    other = [names.index(n[:-1] + {"r": "l", "l": "r"}[n[-1]]) if n[-2:] in ("_r", "_l") else k
             for k, n in enumerate(names)]  # fmt: skip
    swapped[20:50] = swapped[20:50][:, other]
    views[1] = dataclasses.replace(views[1], points=swapped).frames(np.arange(0, len(times), 2))
    fit = fit_keypoints(fullbody(), views, cameras=pair, height=1.70, journal=Journal())
    inputs = (Path("a.mp4"), Path("b.mp4"))
    given = Given(inputs, VideoOptions(), None, None, 1.7, None, "unknown", None, "")
    evidence = _evidence(given, Found([None, None], [VideoKeypoints(v) for v in views], tuple(pair)), fit)  # type: ignore[list-item]
    for view, off_by in zip(evidence.views, fit.reprojection, strict=True):
        assert view.reprojection is not None
        np.testing.assert_array_equal(view.times, fit.motion.times)
        np.testing.assert_allclose(np.nanmedian(view.reprojection), np.nanmedian(off_by), atol=0.5)
        # (between an exchanged frame and one that is not lies one that is neither)
        assert np.nanmedian(view.reprojection[24:46]) < 8.0
