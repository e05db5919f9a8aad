"""Poses in degrees or millimetres, and pickles in archives: one line on what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.cli import main
from motorque.errors import DataError, FileFormatError
from motorque.files.smpl_poses import read_poses
from motorque.journal import Journal
from motorque.studies.noise.protocol import subject
from motorque.synthesis.smpl_walk import smpl_walk


def saved(path: Path, vectors: np.ndarray, places: np.ndarray) -> Path:
    np.savez(path, poses=vectors, trans=places, mocap_framerate=30.0)
    return path


@pytest.mark.parametrize("moving", [24, 10])
def test_degrees_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], moving: int) -> None:
    """Also where most joints hardly move, so that the median joint turns by less than half a turn."""
    walk = smpl_walk(frames=60)
    vectors = walk.rotation_vectors * 57.29578
    vectors[:, moving:] *= 0.01
    path = saved(tmp_path / "degrees.npz", vectors.reshape(60, 72), walk.translation)
    assert main(["torques", str(path), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip()
    assert "give radians, not degrees" in error and error.count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_a_joint_beyond_half_a_turn_is_what_it_is(tmp_path: Path) -> None:
    """A rotation vector of more than π or 2π now and then, and a root that goes round and round."""
    walk = smpl_walk(frames=60)
    vectors = walk.rotation_vectors
    for joint in (16, 17, 18):
        axis = vectors[5, joint] / np.linalg.norm(vectors[5, joint])
        vectors[5, joint] += 2 * np.pi * axis
    vectors[:, 0] = np.linspace(0, 20, 60)[:, None] * np.array([0.0, 1.0, 0.0])
    path = saved(tmp_path / "turns.npz", vectors.reshape(60, 72), walk.translation)
    found = read_poses(path, up="y", journal=Journal())
    np.testing.assert_allclose(found.rotations[5, 1:], walk.rotations[5, 1:], atol=1e-9)


def test_millimetres_are_refused(tmp_path: Path) -> None:
    walk = smpl_walk(frames=30)
    path = saved(tmp_path / "mm.npz", walk.rotation_vectors.reshape(30, 72), 1000 * walk.translation)
    with pytest.raises(FileFormatError, match="too far for metres; give metres, not millimetres"):
        read_poses(path, up="y", journal=Journal())


def test_object_arrays_have_advice_that_works(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, poses=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError, match=r"numpy.load\('objects.npz', allow_pickle=True\)") as raised:
        read_poses(path, journal=Journal())
    assert "pickle.load" not in str(raised.value)


def test_a_single_frame_is_no_motion_to_study() -> None:
    with pytest.raises(DataError, match="a single frame does not move"):
        subject(smpl_walk(frames=20).frames(slice(0, 1)), "still")


@pytest.mark.parametrize(("sex", "code"), [("Female", "f"), ("male", "m"), ("f", "f"), ("unknown", "unknown")])
def test_sexes_have_two_names(sex: str, code: str) -> None:
    from motorque.cli import build_parser

    assert build_parser().parse_args(["torques", __file__, "--out", "x", "--sex", sex]).sex == code
