"""The library of captured movements: reading, duplicates, splits, the file, and how it is made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.files.bvh import read_bvh
from motorque.files.expmap import read_expmap
from motorque.journal import Journal
from motorque.series import Motion
from motorque.series.bones import BoneMotion
from motorque.synthesis.motion_duplicates import duplicates
from motorque.synthesis.motion_library import main, smooth_pieces, split_of, without_rest_pose
from motorque.synthesis.motion_sources import Recording, person_of, read_folder, standing_factor
from motorque.synthesis.motions import SPLITS, CapturedMotion, load_motions, save_motions

RECORDINGS = (
    "asfamc/02/02.asf", "asfamc/02/02_01.amc", "asfamc/02/02_04.amc", "asfamc/35/35.asf", "asfamc/35/35_01.amc",
    "expmap/train/walking/walking_1.txt", "expmap/train/walking/walking_4.txt", "expmap/train/walking/walking_5.txt",
    "bvh/007/007_01.bvh", "bvh/007/007_02.bvh", "bvh/007/007_03.bvh",
)  # fmt: skip
"""A few of the folder's files: walks, a jump, and five recordings in two encodings each but for one walk."""


def some_motions() -> list[CapturedMotion]:
    rng = np.random.default_rng(0)
    return [
        CapturedMotion(
            f"walk {i}", f"person {i // 2}", SPLITS[i // 2 % 3], rng.normal(size=(20 + i, 3)).astype(np.float32),
            ("a", "b", "c"), "walk", f"some/{i}.amc", {"thigh": 1.0 + i / 10, "shank": 0.9}, 30.0,
        )
        for i in range(5)
    ]  # fmt: skip


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    save_motions(path, some_motions())
    for one, other in zip(some_motions(), load_motions(path), strict=True):
        assert one._replace(q=None) == other._replace(q=None)  # type: ignore[arg-type]
        np.testing.assert_array_equal(one.q, other.q)
        assert other.q.dtype == np.float32
    with np.load(path, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_libraries_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "some.npz"
    with pytest.raises(mq.FileFormatError, match="no such file; make it with"):
        load_motions(path)
    path.write_bytes(b"PK nothing")
    with pytest.raises(mq.FileFormatError, match="is no library of movements"):
        load_motions(path)
    np.savez(path, q=np.zeros((3, 3)))
    with pytest.raises(mq.FileFormatError, match="is no library of movements"):
        load_motions(path)
    save_motions(path, some_motions())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(mq.FileFormatError, match="is no library of movements"):
        load_motions(path)
    save_motions(path, some_motions())
    with np.load(path) as archive:
        data = dict(archive)
    for wrong, message in (
        ({"format": np.array(2)}, "is a library of format 2"),
        ({"lengths": data["lengths"] + 1}, "do not have the shape"),
        ({"q": np.full_like(data["q"], np.nan)}, "do not have the shape"),
    ):
        np.savez(path, **(data | wrong))
        with pytest.raises(mq.FileFormatError, match=message):
            load_motions(path)


def test_motions_are_cut_where_an_angle_jumps() -> None:
    values = np.zeros((100, 2))
    values[40:, 0] += 2 * np.pi
    values[60:, 1] += 5.0
    pieces = smooth_pieces(Motion(np.arange(100) / 30, values, ("arm_flex_r", "pelvis_tx")), least=30)
    assert pieces == [(0, 39), (41, 100)]
    assert smooth_pieces(Motion(np.arange(100) / 30, values, ("arm_flex_r", "pelvis_tx")), least=45) == [(41, 100)]


def test_a_rest_pose_at_the_beginning_is_left_out(data: Path) -> None:
    bones = read_bvh(data / "cmu/bvh/007/007_03.bvh")
    cut = without_rest_pose(bones)
    assert len(cut.times) == len(bones.times) - 1
    assert cut.times[0] == 0
    assert len(without_rest_pose(cut).times) == len(cut.times)


def test_nobody_is_in_two_splits() -> None:
    assert person_of("expmap/test/walking_extra/walking_9.txt") == "35"
    assert person_of("expmap/test/jumping/jumping_1.txt") == "49"
    assert person_of("expmap/train/jumping/jumping_1.txt") == "13?"
    assert person_of("expmap/train/walking_extra/walking_50.txt") == "walker?"
    assert {split_of(person) for person in ("35", "49", "13?", "14?")} == {"held-back"}
    assert split_of("07") == "validation"
    assert split_of("02") == "train"


def test_bones_are_made_as_long_as_standing_legs_need(data: Path) -> None:
    """On the skeleton of 02, 35 needs legs 4.4 % longer; its own are 4.2 % longer than those of 02."""
    assert standing_factor(read_expmap(data / "cmu/expmap/test/walking/walking_1.txt")) == pytest.approx(
        1.043, abs=0.01
    )
    longer = read_expmap(data / "cmu/expmap/test/walking/walking_1.txt").stretched(1.043)
    assert standing_factor(longer) == pytest.approx(1.0, abs=0.005)


def folder_with(data: Path, folder: Path) -> Path:
    for name in RECORDINGS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "cmu" / name, folder / name)
    return folder


def test_the_same_recording_in_two_encodings_is_found(data: Path, tmp_path: Path) -> None:
    recordings = read_folder(folder_with(data, tmp_path), journal=Journal())
    assert len(recordings) == 9
    assert duplicates(recordings) == {
        "expmap/train/walking/walking_1.txt": "asfamc/02/02_01.amc",
        "bvh/007/007_01.bvh": "expmap/train/walking/walking_4.txt",
        "bvh/007/007_02.bvh": "expmap/train/walking/walking_5.txt",
    }


def test_a_shifted_copy_is_found_and_another_walk_is_not(data: Path) -> None:
    whole = read_expmap(data / "cmu/expmap/train/walking/walking_4.txt")
    other = read_expmap(data / "cmu/expmap/train/walking/walking_5.txt")

    def recording(source: str, bones: BoneMotion) -> Recording:
        return Recording(source, "07", "walk", "some", bones)

    some = [
        recording("expmap/whole", whole),
        recording("bvh/shifted", whole.frames(slice(5, None))),
        recording("bvh/other", other),
    ]
    assert duplicates(some) == {"bvh/shifted": "expmap/whole"}


def test_the_library_of_a_few_files(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folder_with(data, tmp_path / "cmu")
    (folder / "asfamc/02/02_05.amc").write_text("1\nroot 1 2 3\n")
    out = tmp_path / "some.npz"
    assert main([str(folder), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "bvh/007/007_01.bvh: is expmap/train/walking/walking_4.txt again" in said
    assert "02_05.amc, line 2: 6 numbers are needed here" in said
    motions = load_motions(out)
    assert [m.name for m in motions] == [
        "asfamc/02/02_01", "asfamc/02/02_04", "asfamc/35/35_01", "expmap/train/walking/walking_4",
        "expmap/train/walking/walking_5", "bvh/007/007_03",
    ]  # fmt: skip
    assert [m.split for m in motions] == ["train", "train", "held-back", "validation", "validation", "validation"]
    for motion in motions:
        knee = np.rad2deg(motion.q[:, motion.coordinates.index("knee_angle_r")])
        assert knee.min() >= 0
        assert 48 < knee.max() < 105
        assert 0.8 < motion.q[:, motion.coordinates.index("pelvis_ty")].max() < 1.6
    assert main([str(tmp_path / "nothing"), "--out", str(out)]) == 2
    assert "holds no recording" in capsys.readouterr().err
