"""Odd files of poses: each is refused in one clear line and leaves nothing behind, or does the right thing."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from motorque.cli import main
from motorque.files.smpl_poses import read_poses
from motorque.journal import Journal
from motorque.synthesis.smpl_walk import smpl_walk

WALK = smpl_walk(frames=25)
TURNS = WALK.rotation_vectors.reshape(25, 72)
PLACE = WALK.translation


class Program:
    """A pickle that leaves a trace when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.trace),)


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a command refuses its input."""
    try:
        code = main([*arguments, "--out", str(out)])
    except SystemExit as stopped:  # argparse's own way
        code = int(str(stopped.code))
    error = capsys.readouterr().err.strip()
    assert code == 2 and error.count("\n") == 0 and error.startswith("motorque: "), error
    assert not out.exists() and not list(out.parent.glob(f".{out.name}*"))
    return error


def archive(path: Path, **changes: object) -> Path:
    """A walk as AMASS has it, but for what is changed; None leaves an array out."""
    arrays: dict[str, object] = {"poses": TURNS, "trans": PLACE, "mocap_framerate": 30.0, **changes}
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})  # type: ignore[arg-type]
    return path


def degrees() -> np.ndarray:
    return np.degrees(TURNS)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"poses": TURNS[:, :69]}, "23 joints, a body without its root"),
        ({"poses": TURNS[:, :63]}, "21 joints, a body without its root"),
        ({"poses": np.zeros((25, 51))}, "17 joints, of an order that is not known"),
        ({"poses": np.zeros((25, 75))}, "25 joints, of an order that is not known"),
        ({"poses": TURNS.T}, "has shape [72, 25]"),
        ({"poses": np.degrees(TURNS)}, "give radians, not degrees"),
        ({"poses": np.zeros((25, 24, 4))}, "quaternions"),
        ({"poses": np.zeros((25, 144))}, "6D rotations"),
        ({"poses": 1.5 * WALK.rotations}, "is no rotation"),
        ({"poses": TURNS + 0j}, "complex128 and no numbers"),
        ({"poses": TURNS.astype(str)}, "no numbers"),
        ({"poses": np.float64(3)}, "a single number"),
        ({"poses": TURNS[:0], "trans": PLACE[:0]}, "no frame at all"),
        ({"poses": TURNS[:1], "trans": PLACE[:1]}, "one frame has no accelerations"),
        ({"poses": np.full((25, 72), np.nan)}, "no frame has all its rotations"),
        ({"poses": None, "foo": TURNS}, "holds no poses"),
        ({"trans": PLACE[:-3]}, "it needs [25, 3]"),
        ({"mocap_framerate": None}, "give them with --fps"),
        ({"mocap_framerate": 0}, "which is no rate"),
        ({"mocap_framerate": -30}, "which is no rate"),
        ({"mocap_framerate": np.nan}, "which is no rate"),
        ({"mocap_framerate": 1e9}, "which is no rate"),
        ({"mocap_framerate": "thirty"}, "no numbers"),
        ({"mass": 7000.0}, "is no person's"),
        ({"height": 17.0}, "is no person's"),
        ({"mass": -70.0}, "positive number"),
        ({"poses": np.array([None, 1], dtype=object)}, "a Python pickle"),
    ],
)
def test_archives_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], said: str
) -> None:
    path = archive(tmp_path / "x.npz", **changes)
    error = refused(["torques", str(path)], tmp_path / "out", capsys)
    assert said in error


@pytest.mark.parametrize("command", ["torques", "refine"])
def test_nothing_in_a_file_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    trace = tmp_path / "run"
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(Program(trace)))
    archive(tmp_path / "y.npz", poses=np.array([Program(trace)], dtype=object))
    for name in ("x.pkl", "y.npz"):
        assert "is not read" in refused([command, str(tmp_path / name)], tmp_path / "out", capsys)
    # Beside poses it is not even looked at
    path = archive(tmp_path / "z.npz", extra=np.array([Program(trace)], dtype=object))
    assert len(read_poses(path).times) == 25
    error = refused([command, str(path), "--model", str(tmp_path / "x.pkl")], tmp_path / "out", capsys)
    assert "x.pkl" in error and not trace.exists()


@pytest.mark.parametrize(
    "held",
    [
        {0: {"pose": TURNS, "trans": PLACE, "betas": np.zeros((25, 10)), "frame_ids": np.arange(25)}},  # WHAM
        {1: {"pred_cam": np.zeros((25, 3)), "pose": TURNS, "verts": None}},  # VIBE
        {"a.jpg": {"smpl": [{"global_orient": np.eye(3)[None], "body_pose": np.tile(np.eye(3), (23, 1, 1))}]}},  # 4D
    ],
)
def test_other_peoples_pickles_say_how_to_convert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], held: object
) -> None:
    (tmp_path / "theirs.pkl").write_bytes(pickle.dumps(held))
    error = refused(["torques", str(tmp_path / "theirs.pkl")], tmp_path / "out", capsys)
    assert "numpy.savez(" in error and "theirs.pkl" in error


def test_damaged_files_and_bombs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = archive(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:3000])
    (tmp_path / "text.npz").write_bytes(b"hello" * 100)
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "none.npz")
    # A kilobyte that says it is 576 TB of poses
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as file:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 72)})
        file.writestr("poses.npy", header.getvalue() + bytes(1000))
    said = {"cut": "damaged", "text": "damaged", "empty": "empty", "none": "no numpy array", "liar": "takes more than"}
    for name, words in said.items():
        assert words in refused(["torques", str(tmp_path / f"{name}.npz")], tmp_path / "out", capsys)


def test_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", TURNS)
    (tmp_path / "x.c3d").write_text("hello")
    (tmp_path / "x.amc").write_text(":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n")
    (tmp_path / "x.txt").write_text("hello")
    channels = "Zrotation Xrotation Yrotation"
    (tmp_path / "x.bvh").write_text(
        f"HIERARCHY\nROOT Spine\n{{\nOFFSET 0 0 0\nCHANNELS 3 {channels}\nJOINT Head\n{{\nOFFSET 0 90 0\n"
        f"CHANNELS 3 {channels}\nEnd Site\n{{\nOFFSET 0 80 0\n}}\n}}\n}}\nMOTION\nFrames: 20\nFrame Time: 0.033\n"
        + "0 0 0 0 0 0\n"
        * 20
    )
    (tmp_path / "folder.npz").mkdir()
    for name in ("x.npy", "x.c3d", "x.amc", "x.txt", "x.bvh", "folder.npz", "missing.npz"):
        assert name in refused(["torques", str(tmp_path / name)], tmp_path / "out", capsys)
    assert ".asf" in refused(["torques", str(tmp_path / "x.amc")], tmp_path / "out", capsys)


def test_results_do_not_go_where_they_cannot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = archive(tmp_path / "x.npz")
    (tmp_path / "file").write_text("mine")
    for command in ("torques", "refine"):
        assert main([command, str(path), "--out", str(tmp_path / "file")]) == 2
        assert "is a file" in capsys.readouterr().err and (tmp_path / "file").read_text() == "mine"
    # An input in the folder of the results is not written over
    own = archive(tmp_path / "poses.npz")
    before = own.read_bytes()
    assert main(["torques", str(own), "--out", str(tmp_path)]) == 2
    assert "would be overwritten" in capsys.readouterr().err and own.read_bytes() == before


def test_layouts_that_are_known_are_converted_and_said(tmp_path: Path) -> None:
    for joints, said in ((22, "without hands"), (52, "SMPL-H"), (55, "SMPL-X")):
        turns = np.zeros((25, joints, 3))
        turns[:, :22] = WALK.rotation_vectors[:, :22]
        journal = Journal()
        found = read_poses(archive(tmp_path / "x.npz", poses=turns.reshape(25, -1)), journal=journal)
        np.testing.assert_allclose(found.rotations[:, :22], WALK.rotations[:, :22], atol=1e-12)
        assert any(n.kind == "assumption" and said in n.text for n in journal.notices)


@pytest.mark.parametrize("turns", [1, 2])
def test_rotations_beyond_half_a_turn_are_what_they_are(tmp_path: Path, turns: int) -> None:
    vectors = WALK.rotation_vectors
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    more = vectors * (1 + 2 * np.pi * turns / np.maximum(angle, 1e-6))
    found = read_poses(archive(tmp_path / "x.npz", poses=more.reshape(25, 72)))
    np.testing.assert_allclose(found.rotations[angle[..., 0] > 1e-6], WALK.rotations[angle[..., 0] > 1e-6], atol=1e-9)


def test_good_files_of_other_kinds(tmp_path: Path) -> None:
    kinds = {
        "float16": (TURNS.astype(np.float16), 2e-3),
        "matrices": (WALK.rotations, 1e-12),
        "one of a batch": (TURNS[None], 1e-12),
        "per joint": (TURNS.reshape(25, 24, 3), 1e-12),
    }
    for turns, near in kinds.values():
        found = read_poses(archive(tmp_path / "x.npz", poses=turns))
        np.testing.assert_allclose(found.rotations, WALK.rotations, atol=near)


def test_paths_with_spaces_and_umlauts(tmp_path: Path) -> None:
    path = archive(tmp_path / "Gang über 3 m.npz")
    out = tmp_path / "Ergebnisse für Jörg"
    assert main(["torques", str(path), "--out", str(out), "--quiet", "--contact", "none"]) == 0
    assert "Gang über 3 m" in (out / "report.html").read_text(encoding="utf-8")


def test_what_is_not_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = TURNS.copy()
    turns[10:12] = np.nan
    turns[15, 3] = np.inf
    path = archive(tmp_path / "x.npz", poses=turns, trans=None, betas=np.ones(10), gender="martian")
    assert main(["torques", str(path), "--out", str(tmp_path / "out"), "--contact", "none"]) == 0
    said = capsys.readouterr().err
    for words in ("3 of 25 frames", "nothing about where the person is", "betas", "'martian'", "--mass", "--height"):
        assert words in said
    with np.load(tmp_path / "out" / "torques.npz") as held:
        assert set(np.flatnonzero(np.isnan(held["torques"]).any(axis=(1, 2)))) == {10, 11, 15}


def test_degrees_are_told_at_every_rate() -> None:
    """Read as radians, a walk in degrees leaps; the same walk unwrapped by whole turns does not."""
    from motorque.files.smpl_poses import LEAP, _mean_step

    for rate in (30.0, 120.0):
        walk = smpl_walk(frames=60, rate=rate)
        wrong = Rotation.from_rotvec(np.degrees(walk.rotation_vectors.reshape(-1, 3))).as_matrix()
        assert _mean_step(wrong.reshape(-1, 24, 3, 3)) > 1.5 * LEAP > 5 * _mean_step(walk.rotations) / 1.5
