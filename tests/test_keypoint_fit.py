"""The fit to keypoints on people whose motion is known: generated squats with turns, seen by made cameras."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.fitting.keypoint_attachments import ATTACHMENTS
from motorque.fitting.keypoint_body import KeypointBody
from motorque.fitting.keypoint_fit import fit_keypoints
from motorque.fitting.keypoint_setup import observe, thinned
from motorque.fitting.motion_prior import PoseGuess
from motorque.journal import Journal
from motorque.series import Camera, Keypoints
from motorque.skeleton.fullbody import fullbody

NAMES = tuple(
    n for n in ATTACHMENTS if n not in ("pelvis", "neck", "big_toe_r", "big_toe_l", "small_toe_r", "small_toe_l")
)
SEEN_WELL = ("hip_flexion_r", "knee_angle_r", "knee_angle_l", "hip_flexion_l", "elbow_flex_r", "elbow_flex_l")


def squats(seconds=3.0, rate=30.0):
    """Coordinates of slow squats with raised arms, feet on the floor: times [T], q [T, nq] of the built-in skeleton."""
    skeleton = fullbody()
    times = np.arange(0, seconds + 1e-9, 1 / rate)
    depth = 0.5 - 0.5 * np.cos(2 * np.pi * times / 3.0)
    q = skeleton.default_pose.repeat(len(times), 1).numpy()

    def put(name, values):
        q[:, skeleton.coordinate_names.index(name)] = np.radians(values)

    put("pelvis_tilt", -25 * depth)
    for side in "rl":
        put(f"hip_flexion_{side}", 5 + 70 * depth)
        put(f"knee_angle_{side}", 8 + 75 * depth)
        put(f"ankle_angle_{side}", 3 + 20 * depth)
        put(f"hip_adduction_{side}", -6 - 4 * depth)
        put(f"arm_flex_{side}", 20 + 40 * depth)
        put(f"arm_add_{side}", -15)
        put(f"elbow_flex_{side}", 30 + 10 * depth)
    put("lumbar_extension", -10 - 5 * depth)
    q = skeleton.couple(torch.as_tensor(q)).numpy()
    body = KeypointBody(skeleton, [ATTACHMENTS[n] for n in NAMES])
    position, rotation = body.pelvis_pose(q)
    local = body.points(q[:, body.columns], np.ones(9), np.zeros((len(body.point_body), 3))).position
    points = position[:, None] + local @ rotation.swapaxes(-1, -2)
    drop = points[:, len(NAMES) :, 1].mean(1) + 0.0
    q[:, skeleton.coordinate_names.index("pelvis_ty")] -= drop
    points[..., 1] -= drop[:, None]
    back = points[:, len(NAMES) :, 0].mean(1)
    q[:, skeleton.coordinate_names.index("pelvis_tx")] -= back - back[0]
    points[..., 0] -= (back - back[0])[:, None]
    return times, q, points[:, : len(NAMES)]


def camera(azimuth=60.0, distance=4.0, height=1.1, focal=1400.0, pitch=3.0):
    """A phone held upright that looks at the person from ``azimuth`` degrees to the left of ahead."""
    a = np.radians(azimuth)
    stand = np.array([distance * np.cos(a), height, -distance * np.sin(a)])
    ahead = np.array([-np.cos(a), -np.sin(np.radians(pitch)), np.sin(a)])
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    matrix = np.array([[focal, 0, 540], [0, focal, 960], [0, 0, 1.0]])
    return Camera("phone", (1080, 1920), matrix, rotation, -rotation @ stand)


def see(cam, times, points, noise=0.0, seed=0):
    local = points @ cam.rotation.T + cam.translation
    pixels = local[..., :2] / local[..., 2:] * np.diag(cam.matrix)[:2] + cam.matrix[:2, 2]
    rng = np.random.default_rng(seed)
    pixels = pixels + noise * rng.normal(size=pixels.shape)
    middle = local[:, [NAMES.index("hip_r"), NAMES.index("hip_l")]].mean(1, keepdims=True)
    world = (local - middle) * [1.0, 1.0, 0.9]
    return Keypoints(times, pixels, np.ones(pixels.shape[:2]), NAMES, cam.size, "made", world)


def off(fit, times, q, names=SEEN_WELL):
    """Mean absolute error of some angles [deg]."""
    skeleton = fullbody()
    found = []
    for name in names:
        k = skeleton.coordinate_names.index(name)
        found.append(np.degrees(np.abs(np.interp(times, fit.motion.times, fit.motion.values[:, k]) - q[:, k]).mean()))
    return np.array(found)


@pytest.fixture(scope="module")
def made():
    return squats()


@pytest.fixture(scope="module")
def one_view(made):
    times, _, points = made
    return fit_keypoints(fullbody(), [see(camera(), times, points)], height=1.70, journal=Journal())


def test_one_view_tells_the_pose(made, one_view):
    times, q, _ = made
    assert off(one_view, times, q).max() < 4.0
    assert np.nanmean(one_view.reprojection[0]) < 4.0
    assert list(one_view.factors.values()) == pytest.approx([1.0] * 9, abs=0.06)


def test_one_view_stands_on_the_floor_facing_ahead(one_view):
    heel = one_view.keypoints[:, one_view.keypoint_names.index("heel_r")]
    assert abs(np.median(heel[:, 1])) < 0.05
    forward = KeypointBody(one_view.skeleton, []).pelvis_pose(one_view.motion.values)[1][:, :, 0].mean(0)
    assert abs(np.degrees(np.arctan2(forward[2], forward[0]))) < 1.0


def test_one_view_projects_to_what_was_seen(made, one_view):
    times, _, points = made
    shown = see(one_view.cameras[0], one_view.motion.times, one_view.keypoints).points
    view = see(camera(), times, points)
    distance = np.linalg.norm(shown - view.points, axis=-1)
    np.testing.assert_allclose(distance, one_view.reprojection[0], atol=1e-6)


def test_standard_deviations_are_told(one_view):
    std = one_view.motion.std
    assert std is not None and np.isfinite(std).all()
    moving = [k for k, name in enumerate(one_view.motion.names) if not name.startswith("pro_sup")]
    assert (std[:, moving] > 0).all()
    assert np.degrees(np.median(std[:, one_view.motion.names.index("knee_angle_r")])) < 10


def test_two_calibrated_cameras_tell_it_better(made, one_view):
    times, q, points = made
    pair = [camera(60.0), camera(-50.0, 5.0)]
    fit = fit_keypoints(fullbody(), [see(c, times, points) for c in pair], cameras=pair, height=1.70, journal=Journal())
    both = off(fit, times, q)
    assert both.max() < 1.5
    assert both.mean() < off(one_view, times, q).mean()
    np.testing.assert_allclose(fit.cameras[0].center[1], 1.1, atol=0.02)  # the floor was found


def test_a_camera_moved_and_turned_with_the_world_changes_nothing(made):
    times, q, points = made
    pair = [camera(60.0), camera(-50.0, 5.0)]
    turn = Rotation.from_euler("y", 70, degrees=True).as_matrix()
    shift = np.array([1.0, 0.3, -2.0])
    moved = [
        dataclasses.replace(c, rotation=c.rotation @ turn.T, translation=c.translation - c.rotation @ turn.T @ shift)
        for c in pair
    ]
    views = [see(c, times, points) for c in pair]
    fits = [fit_keypoints(fullbody(), views, cameras=c, height=1.7, journal=Journal()) for c in (pair, moved)]
    np.testing.assert_allclose(np.degrees(fits[1].motion.values - fits[0].motion.values)[:, 6:], 0.0, atol=0.2)


def test_a_long_recording_is_fitted_in_stretches(made, one_view, monkeypatch):
    import motorque.fitting.keypoint_fit as module

    times, q, points = squats(9.0)
    for name, value in (("LONGEST", 5.0), ("SHORT", 1.0), ("STRETCH", 3.0), ("OVERLAP", 0.5)):
        monkeypatch.setattr(module, name, value)
    fit = fit_keypoints(fullbody(), [see(camera(), times, points)], height=1.70, journal=Journal())
    assert len(fit.motion.times) == len(times)
    assert off(fit, times, q).max() < 5.0
    assert np.degrees(np.abs(np.diff(fit.motion.values[:, 6:], axis=0))).max() < 12.0


def test_a_gap_is_bridged(made):
    times, q, points = made
    view = see(camera(), times, points)
    holes = view.points.copy()
    holes[40:50] = np.nan
    fit = fit_keypoints(
        fullbody(),
        [dataclasses.replace(view, points=holes, confidence=np.ones(holes.shape[:2]))],
        height=1.7,
        journal=Journal(),
    )
    assert off(fit, times, q).max() < 6.0
    assert np.isnan(fit.reprojection[0][40:50]).all()


def test_a_prior_alone_is_a_start(made):
    times, q, points = made
    skeleton = fullbody()
    cam = camera()
    view = dataclasses.replace(see(cam, times, points), world=None)

    def prior(keypoints):
        frames = len(keypoints.times)
        rotation = KeypointBody(skeleton, []).pelvis_pose(q)[1]
        names = ("hip_flexion_r", "hip_flexion_l", "knee_angle_r", "knee_angle_l")
        mean = q[:, [skeleton.coordinate_names.index(n) for n in names]]
        return PoseGuess(
            names, mean, np.full(mean.shape, 0.1), cam.rotation @ rotation, np.full((frames, 3), 0.1),
            cam.rotation[:, 1], 0.05,
        )  # fmt: skip

    with pytest.raises(DataError, match="motion prior"):
        fit_keypoints(skeleton, [view], journal=Journal())
    fit = fit_keypoints(skeleton, [view], height=1.7, prior=prior, journal=Journal())
    assert off(fit, times, q).max() < 4.0
    assert set(fit.cost) == {"prior"}


def test_nobody_is_an_error(made):
    times, _, points = made
    view = see(camera(), times, points)
    empty = dataclasses.replace(view, points=np.full_like(view.points, np.nan))
    with pytest.raises(DataError, match="is somebody there"):
        fit_keypoints(fullbody(), [empty], journal=Journal())


def test_videos_without_calibration_are_an_error(made):
    times, _, points = made
    view = see(camera(), times, points)
    with pytest.raises(DataError, match="--cameras"):
        fit_keypoints(fullbody(), [view, view], journal=Journal())
    with pytest.raises(DataError, match="1 cameras"):
        fit_keypoints(fullbody(), [view, view], cameras=[camera()], journal=Journal())


def test_videos_of_different_times_are_an_error(made):
    times, _, points = made
    pair = [camera(), camera(-50)]
    views = [see(pair[0], times, points), see(pair[1], times + 100.0, points)]
    with pytest.raises(DataError, match="no time in common"):
        fit_keypoints(fullbody(), views, cameras=pair, journal=Journal())


def test_frames_are_thinned_to_an_even_grid():
    times = np.arange(0, 2, 1 / 120)
    kept = times[thinned(times, 30.0)]
    np.testing.assert_allclose(np.diff(kept), 1 / 30, atol=1e-9)
    uneven = np.sort(np.random.default_rng(0).random(400)) * 4
    assert len(np.unique(thinned(uneven, 30.0))) == len(thinned(uneven, 30.0)) <= 121


def test_frames_of_another_camera_are_brought_to_the_first_ones_times(made):
    times, _, points = made
    cam = camera()
    views = [see(cam, times, points), see(cam, times + 0.5 / 30, np.roll(points, 0, axis=0))]
    shifted = observe(views, [cam, cam])
    first, second = shifted.points
    inner = slice(2, -2)
    exact = see(cam, times, points).points - cam.matrix[:2, 2]
    middle = 0.5 * (exact[1:] + exact[:-1])
    columns = [NAMES.index(n) for n in shifted.names]
    np.testing.assert_allclose(second[inner], middle[:, columns][: len(second)][inner], atol=1e-6)
    np.testing.assert_allclose(first[inner], exact[1:, columns][: len(first)][inner], atol=1e-6)
