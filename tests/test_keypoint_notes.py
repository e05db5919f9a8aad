"""What the fit to keypoints says that it took for granted, and where a camera comes from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from motorque.fitting.keypoint_fit import fit_keypoints
from motorque.fitting.keypoint_notes import note_body, note_camera
from motorque.fitting.keypoint_setup import Known
from motorque.fitting.motion_prior import PoseGuess
from motorque.journal import Journal
from motorque.series import Motion
from motorque.skeleton.fullbody import fullbody
from motorque.vision.keypoint_file import VideoKeypoints
from motorque.workflows.video import VideoOptions
from motorque.workflows.video_cameras import camera_source, note_lens
from motorque.workflows.video_results import CROPPED, _field_of_view
from test_keypoint_fit import camera, see, squats


def said(journal: Journal) -> str:
    return " | ".join(f"{notice.kind}: {notice.about}: {notice.text}" for notice in journal.notices)


def guess(up: tuple[float, float, float], frames: int = 4) -> PoseGuess:
    """A prior that sees the vertical there, within 3 degrees, and both knees at 0.5 +- 0.1 rad."""
    names = ("knee_angle_r", "knee_angle_l")
    std = np.full((frames, 2), 0.1)
    turn = np.tile(np.eye(3), (frames, 1, 1))
    vertical = np.array(up) / np.linalg.norm(up)
    return PoseGuess(names, np.full((frames, 2), 0.5), std, turn, np.full((frames, 3), 0.1), vertical, np.radians(3.0))


@pytest.fixture(scope="module")
def seen():  # type: ignore[no-untyped-def]
    times, _, points = squats(1.0)
    return see(camera(), times, points)


def test_the_fit_says_what_it_assumes_of_a_camera(seen) -> None:  # type: ignore[no-untyped-def]
    journal = Journal()
    fit = fit_keypoints(fullbody(), [seen], height=1.7, journal=journal)
    told = said(journal)
    focal = fit.cameras[0].matrix[0, 0]
    assert "assumption: camera: the focal length is not known and taken as 0.75 of the picture's longer side" in told
    assert f"give or take 10 % (fitted: {focal:.0f} px" in told and "--fov" in told
    assert "the camera is taken to be held level, give or take 4° up or down and 2° askew, fitted: looking" in told
    assert "its lens to have no distortion" in told
    assert "assumption: segment scales: segments are taken to be equally long on both sides" in told
    assert "assumption: motion: what one camera leaves open rests on weak general habits" in told

    journal = Journal()
    fit_keypoints(fullbody(), [seen], height=1.7, fov=np.radians(69.0), journal=journal)
    assert "info: camera: the angle of view of 69° is held to 2 % (fitted:" in said(journal)
    assert "not known" not in said(journal)


def test_nothing_is_assumed_of_calibrated_cameras(seen) -> None:  # type: ignore[no-untyped-def]
    journal = Journal()
    times, _, points = squats(1.0)
    pair = [camera(60.0), camera(-50.0, 5.0)]
    fit_keypoints(fullbody(), [see(c, times, points) for c in pair], cameras=pair, height=1.7, journal=journal)
    assert "camera:" not in said(journal) and "habits" not in said(journal)
    assert "equally long on both sides" in said(journal)


def test_a_camera_that_the_prior_sees_tilted_is_said() -> None:
    down = np.radians(20.0)
    for up, words in (
        (
            (0.0, -np.cos(down), -np.sin(down)),
            "tilted as the person's pose tells, looking down by 20.0°, askew",
        ),
        ((0.0, -np.cos(down), np.sin(down)), "tilted as the person's pose tells, looking up by 20.0°"),
        ((0.05, -1.0, 0.02), "held level"),
    ):
        journal = Journal()
        note_camera(camera(pitch=0.0), Known(), guess(up), journal)
        assert words in said(journal)


def test_how_much_the_prior_is_doubted_is_said() -> None:
    """Of eight angles one is three standard deviations off."""
    values = np.full((4, 2), 0.6)
    values[0, 0] = 0.8
    journal = Journal()
    motion = Motion(np.arange(4) / 30, values, ("knee_angle_r", "knee_angle_l"))
    note_body(guess((0.0, -1.0, 0.0)), motion, 1, journal)
    assert "12 % of the angles are further from it than 2 of its standard deviations" in said(journal)


def test_where_a_camera_comes_from(seen) -> None:  # type: ignore[no-untyped-def]
    plain, told = VideoKeypoints(seen), dataclasses.replace(VideoKeypoints(seen), focal_length=1500.0)
    assert camera_source(60.0, told, calibrated=True) == "calibration file"
    assert camera_source(60.0, told, calibrated=False).endswith("focal length from --fov 60")
    assert camera_source(None, told, calibrated=False).endswith("from the file's metadata")
    assert camera_source(None, plain, calibrated=False).endswith("(no --fov, and no metadata in the file)")
    for fov, found, words in (
        (None, plain, "info: v.mp4: the file has no metadata of the lens"),
        (None, told, "assumption: v.mp4: the focal length, 1500 px, is that of the file's metadata"),
    ):
        journal = Journal()
        note_lens(fov, found, "v.mp4", journal)
        assert words in said(journal)
    journal = Journal()
    note_lens(60.0, plain, "v.mp4", journal)
    assert not journal.notices


def test_metadata_of_the_lens_count_less_than_a_given_angle() -> None:
    found = VideoKeypoints(see(camera(), *squats(0.2)[::2]), focal_length=1400.0)
    told, given = (_field_of_view(options, found) for options in (VideoOptions(), VideoOptions(fov=60.0)))
    longer = max(found.keypoints.size)
    assert 0.5 * longer / np.tan(0.5 * told["fov"]) == pytest.approx(CROPPED * 1400.0)
    assert told["fov_std"] > 0.05
    assert given == {"fov": pytest.approx(np.radians(60.0))}
