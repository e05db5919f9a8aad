"""Noise of poses: its sizes, its spectrum and where it points."""

from __future__ import annotations

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.series.poses import Poses
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise.models import AR1, OneJoint, Realistic, White, camera_axis, mean_size, noisy_rotations

MODELS = [White(), AR1(), OneJoint("spine1"), Realistic(), Realistic(depth_of="across", camera="front")]


@pytest.fixture(scope="module")
def poses() -> Poses:
    vectors = np.random.default_rng(1).normal(0, 0.4, (120, 24, 3))
    return Poses.from_rotation_vectors(vectors, rate=30.0)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_draws_are_numbered(model, poses) -> None:
    many, few, other = (model.draw(poses, n, seed=s) for n, s in ((7, 3), (2, 3), (2, 4)))
    assert np.array_equal(many.rotation[:2], few.rotation)
    assert np.array_equal(many.translation[:2], few.translation)
    assert not np.allclose(few.rotation, other.rotation)
    assert not np.allclose(many.rotation[0], many.rotation[1])


@pytest.mark.parametrize("model", [White(), AR1(), *MODELS[3:]])
def test_mean_size_is_the_papers(model, poses) -> None:
    """E‖N(0, 0.05² I₃)‖ = 0.0798; the mean of 2880 × 20 vectors scatters by 0.1 % if they are independent."""
    assert mean_size(model.draw(poses, 20).rotation) == pytest.approx(0.0798, rel=0.012)


def test_white_noise_is_white_and_ar1_lasts(poses) -> None:
    def correlation(noise: np.ndarray) -> float:
        return float((noise[:, 1:] * noise[:, :-1]).mean() / (noise**2).mean())

    assert correlation(White().draw(poses, 20).rotation) == pytest.approx(0.0, abs=0.01)
    assert correlation(AR1(lasts=0.1).draw(poses, 20).rotation) == pytest.approx(np.exp(-1 / 3), abs=0.01)
    # Stationary: the first frame varies as the others do
    first = AR1(sigma=1.0, lasts=1.0).draw(poses, 200).rotation[:, 0]
    assert first.std() == pytest.approx(1.0, abs=0.02)


def test_one_joint_gets_what_white_noise_gives_it(poses) -> None:
    one, all_ = OneJoint("left_knee").draw(poses, 2).rotation, White().draw(poses, 2).rotation
    knee = SMPL_JOINTS.index("left_knee")
    assert np.array_equal(one[:, :, knee], all_[:, :, knee])
    assert np.abs(np.delete(one, knee, axis=2)).max() == 0
    assert White(root=False).draw(poses, 1).rotation[:, :, 0].any() == np.False_


def test_realistic_profile_points_along_the_camera_and_grows_to_the_ends() -> None:
    still = Poses.from_rotation_vectors(np.zeros((400, 24, 3)), rate=30.0)
    noise = Realistic(depth=3.0, camera=(0.0, 0.0, 2.0), translation=0.01).draw(still, 10)
    spread = noise.rotation.std(axis=(0, 1))
    assert spread[:, 2] / spread[:, 0] == pytest.approx(3.0, rel=0.1)
    assert noise.translation.std(axis=(0, 1)) == pytest.approx([0.01, 0.01, 0.03], rel=0.1)
    assert spread[20, 0] / spread[0, 0] == pytest.approx(2.5, rel=0.1)
    across = Realistic(depth=3.0, camera=(0.0, 0.0, 1.0), depth_of="across").draw(still, 10).rotation.std(axis=(0, 1))
    assert across[:, 0] / across[:, 2] == pytest.approx(3.0, rel=0.1)


def test_camera_axes_follow_the_person() -> None:
    turned = np.zeros((10, 24, 3))
    turned[:, 0, 1] = np.pi / 2  # SMPL looks along z; turned by a quarter about y it looks along x
    poses = Poses.from_rotation_vectors(turned, rate=30.0)
    assert abs(camera_axis(poses, "side") @ [0, 0, 1]) == pytest.approx(1.0)
    assert abs(camera_axis(poses, "front") @ [1, 0, 0]) == pytest.approx(1.0)
    with pytest.raises(DataError, match="three numbers"):
        camera_axis(poses, (0.0, 0.0, 0.0))
    lying = np.zeros((10, 24, 3))
    lying[:, 0, 2] = np.pi / 2  # on the right side, looking along z
    poses = Poses.from_rotation_vectors(lying, rate=30.0)
    assert abs(camera_axis(poses, "front") @ [0, 0, 1]) == pytest.approx(1.0)


def test_noise_is_added_to_rotation_vectors(poses) -> None:
    noise = White(translation=0.01).draw(poses, 3)
    rotations, translation = noisy_rotations(poses, noise)
    again = Poses(poses.times, rotations[1], translation[1]).rotation_vectors
    short = np.linalg.norm(poses.rotation_vectors, axis=-1) < 2.5
    assert np.allclose((again - poses.rotation_vectors)[short], noise.rotation[1][short], atol=1e-12)
    assert np.allclose(translation[1], noise.translation[1])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (White(sigma=-1.0), "noise level"),
        (AR1(lasts=-1.0), "lasts"),
        (OneJoint("tail"), "no joint 'tail'"),
        (Realistic(flicker=2.0), "flicker"),
        (Realistic(levels={"hip": 1.0}), "no level for ankle"),
        (Realistic(camera="above"), "not 'above'"),
    ],
)
def test_wrong_settings_are_named(model, words, poses) -> None:
    with pytest.raises(DataError, match=words):
        model.draw(poses, 1)
