"""Reading exponential maps: against the .amc files of the same recordings, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.files.acclaim import read_amc, read_asf
from motorque.files.expmap import COLUMNS, default_skeleton, read_expmap
from motorque.journal import Journal

SAME_PLACE = 1e-5
"""Joints of one recording in two files [m]: .amc has six digits, the files of exponential maps nine."""


def written(folder: Path, rows: list[list[float]]) -> Path:
    path = folder / "some.txt"
    path.write_text("\n".join(",".join(f"{value:.9g}" for value in row) for row in rows) + "\n")
    return path


def row(root: tuple[float, float, float] = (0, 0, 0), **joints: tuple[float, float, float]) -> list[float]:
    """A frame with the root at (1, 17, 3); joints by their place in the file, ``j3``."""
    values = [1.0, 17.0, 3.0, *root] + [0.0] * (COLUMNS - 6)
    for name, vector in joints.items():
        start = 3 + 3 * int(name[1:])
        values[start : start + 3] = vector
    return values


def test_known_turns_of_a_knee_and_of_the_root(tmp_path: Path) -> None:
    """The shank's rotation vector is the opposite of a column's; heading to the file's +X is our -Z."""
    quarter, heading = np.pi / 2, np.deg2rad(80)
    path = written(tmp_path, [row(), row(root=(0, -heading, 0)), row((0.0, -1e-9, 0.0), j3=(-quarter, 0, 0))])
    journal = Journal()
    bones = read_expmap(path, journal=journal)
    assert len(bones.times) == 2
    assert any("frame 1 is the rest pose" in notice.text for notice in journal.notices)
    unit = 0.0254 / 0.45
    np.testing.assert_allclose(bones.positions[:, 0], np.array([[3, 17, -1], [3, 17, -1]]) * unit, atol=1e-12)
    ahead = [np.cos(heading), 0, -np.sin(heading)]
    np.testing.assert_allclose(bones.rotations[0, 0] @ [1, 0, 0], ahead, atol=1e-8)
    thigh, shank = bones.index("lfemur"), bones.index("ltibia")
    # A knee bends about the file's +X, our -Z: the shank's vector turns from down to backward.
    down = bones.positions[1, bones.index("lfoot")] - bones.positions[1, shank]
    np.testing.assert_allclose(down, np.array([-6.84770, 0.0, -2.49236]) * unit, atol=1e-6)
    np.testing.assert_allclose(bones.rotations[1, thigh], np.eye(3), atol=1e-8)


def test_one_row_is_a_recording(tmp_path: Path) -> None:
    assert len(read_expmap(written(tmp_path, [row()])).times) == 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace(",", ";"), "line 1: has 1 numbers, a frame of exponential maps has 117"),
        (lambda text: text[: len(text) - 20], "line 2: has .* numbers, a frame of exponential maps has 117"),
        (lambda text: text.replace("17", "x", 1), "line 1: has a cell that is no number"),
        (lambda text: text.replace("17", "nan", 1), "line 1: has a cell that is no number"),
    ],
)
def test_damaged_files_name_the_line(tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    path = written(tmp_path, [row(), row((0.1, 0, 0))])
    path.write_text(damage(path.read_text()))
    with pytest.raises(mq.FileFormatError, match=message) as caught:
        read_expmap(path)
    assert "\n" not in str(caught.value)


def test_a_skeleton_with_other_bones(tmp_path: Path) -> None:
    skeleton = default_skeleton()
    skeleton.bones[3].name = "tail"
    with pytest.raises(mq.FileFormatError, match="the bone 'tail' is not in files of exponential maps"):
        read_expmap(written(tmp_path, [row()]), skeleton=skeleton)


@pytest.mark.parametrize(
    ("expmap", "subject", "amc"),
    [("test/walking/walking_1", "35", "35_01"), ("train/walking/walking_1", "02", "02_01")],
)
def test_the_same_recording_in_an_amc_file(data: Path, expmap: str, subject: str, amc: str) -> None:
    folder = data / "cmu/asfamc" / subject
    skeleton = read_asf(folder / f"{subject}.asf")
    recorded = read_amc(folder / f"{amc}.amc", skeleton)
    bones = read_expmap(data / f"cmu/expmap/{expmap}.txt", skeleton=skeleton)
    assert bones.names == recorded.names
    np.testing.assert_allclose(bones.positions, recorded.positions, atol=SAME_PLACE)
    np.testing.assert_allclose(bones.rotations, recorded.rotations, atol=1e-5)


def test_default_lengths_are_those_of_subject_02(data: Path) -> None:
    own = {bone.name: bone for bone in read_asf(data / "cmu/asfamc/02/02.asf").bones}
    for bone in default_skeleton().bones:
        theirs = own[bone.name]
        # The left leg of the loaders' table is 2 mm shorter than in the .asf file.
        np.testing.assert_allclose(
            bone.direction * bone.length, theirs.direction * theirs.length, atol=0.04, err_msg=bone.name
        )


@pytest.mark.parametrize(
    ("name", "least"), [("directing_traffic/directing_traffic_1", 4500), ("walking_extra/walking_24", 1500)]
)
def test_who_turns_around_stands_still_on_standing_feet(data: Path, name: str, least: int) -> None:
    """With the root put together in the file's own wrong order 1132 and 601 feet stand, and standing ones rise and sink
    by 41 and 22 mm."""
    bones = read_expmap(data / f"cmu/expmap/train/{name}.txt")
    heights = []
    for side in "lr":
        foot = bones.positions[:, bones.index(f"{side}toes")]
        speed = np.linalg.norm(np.gradient(foot, bones.times, axis=0), axis=1)
        heights.append(foot[speed < 0.25, 1])
    assert sum(map(len, heights)) > least
    assert np.concatenate(heights).std() < 0.011
    turn = bones.rotations[:-1, 0].transpose(0, 2, 1) @ bones.rotations[1:, 0]
    assert np.rad2deg(np.arccos((np.trace(turn, axis1=1, axis2=2).clip(-1, 3) - 1) / 2)).max() < 8.0
