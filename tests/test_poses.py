"""Poses: what is checked, what a missing joint is, rotation vectors there and back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.series import Poses


def some(frames: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(frames, 24, 3)), rng.normal(size=(frames, 3))


def test_rotation_vectors_there_and_back() -> None:
    vectors, translation = some()
    poses = Poses.from_rotation_vectors(vectors.reshape(7, 72), translation, rate=30)
    assert poses.rate == pytest.approx(30) and poses.known.all()
    short = np.linalg.norm(vectors, axis=-1) < np.pi
    assert 0 < short.sum() < short.size
    np.testing.assert_allclose(poses.rotation_vectors[short], vectors[short], atol=1e-12)


def test_more_than_half_a_turn_is_the_same_rotation() -> None:
    vectors, translation = some()
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    longer = vectors * (angle + 2 * np.pi) / angle
    one, two = (Poses.from_rotation_vectors(v, translation, rate=30) for v in (vectors, longer))
    np.testing.assert_allclose(one.rotations, two.rotations, atol=1e-12)


def test_a_joint_that_was_not_seen_is_marked_and_kept() -> None:
    vectors, translation = some()
    vectors[2, 5, 1], translation[4, 0] = np.nan, np.inf
    poses = Poses.from_rotation_vectors(vectors, translation, rate=30)
    assert poses.known.tolist() == [True, True, False, True, False, True, True]
    assert np.isnan(poses.rotations[2, 5]).all() and np.isfinite(poses.rotations[2, :5]).all()
    assert np.isnan(poses.translation[4]).all() and np.isnan(poses.rotation_vectors[2, 5]).all()


def test_frames_and_between_keep_whose_they_are() -> None:
    vectors, translation = some()
    rest = np.arange(72.0).reshape(24, 3)
    poses = Poses.from_rotation_vectors(
        vectors, translation, rate=10, up="z", sex="f", height=1.7, mass=60, joint_positions=rest, betas=[[1, 2]]
    )
    for part in (poses.frames(slice(2, 5)), poses.frames(np.array([2, 3, 4])), poses.between(0.15, 0.45)):
        np.testing.assert_array_equal(part.times, poses.times[2:5])
        np.testing.assert_array_equal(part.rotations, poses.rotations[2:5])
        assert (part.up, part.sex, part.height, part.mass) == ("z", "f", 1.7, 60)
        assert part.betas is not None and part.betas.tolist() == [1, 2]
    with pytest.raises(DataError, match="poses"):
        poses.between(5, 6)


def test_one_frame_has_no_rate() -> None:
    vectors, translation = some(1)
    assert np.isnan(Poses.from_rotation_vectors(vectors, translation, times=[0.0]).rate)


def test_what_is_no_pose_is_refused() -> None:
    vectors, translation = some()
    turns = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(7, 24, 3, 3)
    times = np.arange(7) / 30
    mirrored, stretched = turns.copy(), turns.copy()
    mirrored[3, 4] *= -1
    stretched[1, 2] *= 1.01
    with pytest.raises(DataError, match="joint 4 in frame 3 is no rotation"):
        Poses(times, mirrored, translation)
    with pytest.raises(DataError, match="joint 2 in frame 1 is no rotation"):
        Poses(times, stretched, translation)
    with pytest.raises(DataError, match="expected shape"):
        Poses(times, turns[:, :23], translation)
    for wrong in ({"up": "x"}, {"sex": "female"}, {"height": -1.0}, {"mass": np.nan}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            Poses(times, turns, translation, **wrong)
    for rate in (0, -3, np.nan, None):
        with pytest.raises(DataError, match="frames per second"):
            Poses.from_rotation_vectors(vectors, translation, rate=rate)
    with pytest.raises(DataError, match=r"\[frames, 24, 3\]"):
        Poses.from_rotation_vectors(vectors[:, :22], translation, rate=30)
