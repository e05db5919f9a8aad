"""A prior is shown what a level camera in the same place would see, and its answer is turned back."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorque.fitting.level_guess import guess_level
from motorque.fitting.motion_prior import PoseGuess
from motorque.series import Camera, Keypoints

NAMES = ("hip_r", "hip_l", "shoulder_r", "shoulder_l", "knee_r", "knee_l")
RNG = np.random.default_rng(2)
POINTS = np.array([0.0, 1.0, 0.0]) + 0.4 * RNG.normal(size=(5, len(NAMES), 3))
PELVIS = Rotation.random(5, random_state=1).as_matrix()
FOCAL = 1000.0


def camera(roll, pitch):
    """Looking along -X from 4 m away, turned by these angles [deg] about its own axes."""
    level = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])
    rotation = Rotation.from_euler("zx", [roll, pitch], degrees=True).as_matrix() @ level
    matrix = np.array([[FOCAL, 0, 500], [0, FOCAL, 800], [0, 0, 1.0]])
    return Camera("c", (1000, 1600), matrix, rotation, -rotation @ np.array([4.0, 1.0, 0.0]))


def see(cam):
    local = POINTS @ cam.rotation.T + cam.translation
    pixels = FOCAL * local[..., :2] / local[..., 2:] + cam.matrix[:2, 2]
    return Keypoints(np.arange(5) / 30, pixels, np.ones(pixels.shape[:2]), NAMES, cam.size)


class Spy:
    """Says where the pelvis is as seen by a level camera, and what it believes to be up."""

    def __init__(self, up=(0.0, -1.0, 0.0)):
        self.asked = []
        self.up = np.array(up)

    def __call__(self, keypoints):
        self.asked.append(keypoints)
        frames = len(keypoints.times)
        level = camera(0, 0).rotation @ PELVIS
        return PoseGuess(("knee_angle_r",), np.zeros((frames, 1)), np.ones((frames, 1)), level,
                         np.full((frames, 3), 0.1), self.up, 0.02)  # fmt: skip


@pytest.mark.parametrize("tilt", [(0, 20), (25, 0), (-15, 18)])
def test_a_calibrated_camera_is_turned_level(tilt):
    cam, spy = camera(*tilt), Spy()
    guess = guess_level(spy, see(cam), cam, FOCAL)
    turned, level = spy.asked[-1].points, see(camera(0, 0)).points
    # A level camera may still be turned about the vertical: heights in the picture and distances say that it is level.
    spread = lambda p: np.linalg.norm(p[:, :, None] - p[:, None], axis=-1)  # noqa: E731
    np.testing.assert_allclose(turned[..., 1], level[..., 1], atol=60)
    np.testing.assert_allclose(spread(turned), spread(level), rtol=0.12, atol=8)
    np.testing.assert_allclose(guess.up, cam.rotation[:, 1], atol=1e-12)
    # The vertical of the pelvis is where it is, seen from the camera as it stands.
    np.testing.assert_allclose((cam.rotation @ PELVIS)[:, :, 1] @ guess.up, guess.pelvis[:, :, 1] @ guess.up, atol=1e-9)


def test_a_level_camera_is_left_alone():
    spy = Spy()
    view = see(camera(2, 3))
    guess_level(spy, view, None, FOCAL)
    assert len(spy.asked) == 1
    np.testing.assert_array_equal(spy.asked[0].points, view.points)


def test_a_tilt_that_the_prior_sees_is_taken_out():
    tilted = camera(20, 0)
    spy = Spy(up=tilted.rotation[:, 1])
    guess_level(spy, see(tilted), None, FOCAL)
    assert len(spy.asked) == 2
    np.testing.assert_allclose(spy.asked[1].points, see(camera(0, 0)).points, atol=1e-6)


def test_points_behind_a_level_camera_are_not_seen():
    cam = camera(0, 85)
    view = dataclasses.replace(see(camera(0, 0)))
    spy = Spy()
    guess_level(spy, view, dataclasses.replace(cam, size=view.size), FOCAL)
    assert not spy.asked[-1].seen.all()
