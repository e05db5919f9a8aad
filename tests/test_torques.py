"""`motorque torques`: a generated walk through the command line, its files, what acts on the body, and wrong inputs."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from motorque.cli import main
from motorque.errors import DataError, MotorqueError
from motorque.files.smpl_poses import read_poses, write_poses
from motorque.files.storage import read_storage
from motorque.journal import Journal
from motorque.series import Poses
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.workflows.torques import _UPRIGHT, in_smpls_world, torques_step

GRAVITY = 9.80665


@pytest.fixture(scope="module")
def walk() -> Poses:
    """Two seconds of walking at 60 Hz; a person of 70 kg and 1.7 m."""
    return smpl_walk(frames=120, rate=60.0, mass=70.0, height=1.7, sex="f")


@pytest.fixture(scope="module")
def file(walk: Poses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("walk") / "walk.npz"
    write_poses(path, walk)
    return path


@pytest.fixture(scope="module")
def results(file: Path) -> Path:
    out = file.parent / "out"
    assert main(["torques", str(file), "--out", str(out), "--quiet"]) == 0
    return out


def turned(poses: Poses, up: str) -> Poses:
    """The same recording in a world with another axis up."""
    back = _UPRIGHT[up].T  # type: ignore[index]
    rotations = poses.rotations.copy()
    rotations[:, 0] = back @ rotations[:, 0]
    return dataclasses.replace(poses, rotations=rotations, translation=poses.translation @ back.T, up=up)


def test_every_file_is_there_and_fits(results: Path, walk: Poses) -> None:
    names = {"torques.csv", "torques.npz", "kinematics.mot", "kinetics.sto", "loads.mot", "poses.npz", "segments.csv"}
    names |= {"kinematics_std.sto", "kinetics_std.sto", "loads_std.sto"}
    assert names | {"summary.json", "report.html", "tables"} == {path.name for path in results.iterdir()}
    with np.load(results / "torques.npz") as held:
        arrays = {name: held[name] for name in held.files}
    assert arrays["joints"].tolist() == list(SMPL_JOINTS)
    assert arrays["torques"].shape == arrays["forces"].shape == (120, 24, 3)
    np.testing.assert_allclose(arrays["torques"][:, 0], arrays["root_moment"], atol=1e-12)
    # A moment is as long in its parent's axes as in the world's
    lengths = (np.linalg.norm(arrays[name], axis=-1) for name in ("torques", "torques_parent"))
    np.testing.assert_allclose(*lengths, atol=1e-9)
    kinetics = read_storage(results / "kinetics.sto")
    knee = SMPL_JOINTS.index("left_knee")
    np.testing.assert_allclose(kinetics.column("knee_rx_l_moment"), arrays["torques_parent"][:, knee, 0], rtol=1e-8)
    std = read_storage(results / "kinetics_std.sto")
    assert std.columns == kinetics.columns
    # The loads leave nothing to the root that noise could change
    assert np.isnan(std.data[:, :6]).all() and (std.data[:, 6:] >= 0).all()
    for one, other in (("kinematics_std.sto", "kinematics.mot"), ("loads_std.sto", "loads.mot")):
        assert read_storage(results / one).columns == read_storage(results / other).columns
    np.testing.assert_allclose(std.column("knee_rx_l_moment"), arrays["torques_parent_std"][:, knee, 0], rtol=1e-8)
    with open(results / "torques.csv", newline="", encoding="utf-8") as text:
        rows = list(csv.reader(text))
    assert rows[0][:2] == ["time [s]", "pelvis_x [N·m]"] and len(rows) == 121
    assert float(rows[11][1 + 3 * knee]) == pytest.approx(arrays["torques"][10, knee, 0], rel=1e-6)
    again = read_poses(results / "poses.npz")
    np.testing.assert_allclose(again.rotations, walk.rotations, atol=1e-12)


def test_segments_add_up_and_say_what_they_are(results: Path) -> None:
    with open(results / "segments.csv", newline="", encoding="utf-8") as text:
        rows = list(csv.reader(text))[1:]
    assert [row[0] for row in rows] == list(SMPL_JOINTS)
    assert sum(float(row[2]) for row in rows) == pytest.approx(70.0, rel=1e-4)
    said = {row[0]: row[1] for row in rows}
    assert said["left_foot"].endswith("the toes") and said["right_hip"] == "thigh" and "fingers" in said["left_hand"]


def test_the_ground_carries_the_walker(results: Path) -> None:
    """Over whole strides the ground's mean force is the weight; what is left at the root is small beside it."""
    loads = read_storage(results / "loads.mot")
    vertical = loads.column("ground_force_r_vy") + loads.column("ground_force_l_vy")
    assert vertical[10:-10].mean() == pytest.approx(70.0 * GRAVITY, rel=0.1)
    with np.load(results / "torques.npz") as held:
        force = np.linalg.norm(held["root_force"], axis=-1)
        knee = held["torques_parent"][:, SMPL_JOINTS.index("left_knee"), 0]
    assert force[10:-10].mean() < 0.1 * 70.0 * GRAVITY
    assert 10.0 < np.abs(knee).max() < 200.0


def test_the_summary_and_the_page(results: Path) -> None:
    found = json.loads((results / "summary.json").read_text())
    assert found["subject"]["mass_kg"] == pytest.approx(70.0) and found["recording"]["frames"] == 120
    assert found["settings"]["rates"] == "auto" and "low-pass filter of 6 Hz" in found["settings"]["rates_reason"]
    assert found["settings"]["cutoff_hz"] == 6.0
    assert found["settings"]["contact"] == "estimated"
    assert "knee_rx_l" in found["results"]["torque_peaks"]
    sure = found["uncertainty"]
    assert sure["method"] == "monte carlo" and sure["draws"] == 500 and sure["seed"] == 0
    assert set(sure["included"]) == {"pose noise", "smoothing", "sharing between the feet"}
    assert "lasting errors" in sure["excluded"]
    assert sure["torques"]["knee_rx_l"]["half_width_90"] > 0
    page = (results / "report.html").read_text()
    assert "How sure the results are" in page
    assert "Knee flexion / extension" in page and "rotation vector" in page and "inverse kinematics" not in page


@pytest.mark.parametrize("up", ["z", "-y"])
def test_the_world_of_the_poses_does_not_matter(walk: Poses, tmp_path: Path, up: str) -> None:
    write_poses(tmp_path / "one.npz", walk)
    write_poses(tmp_path / "two.npz", turned(walk, up))
    held = []
    for name in ("one", "two"):
        torques_step(tmp_path / f"{name}.npz", tmp_path / name)
        with np.load(tmp_path / name / "torques.npz") as arrays:
            held.append({key: arrays[key] for key in arrays.files if key != "joints"})
    one, two = held
    np.testing.assert_allclose(one["torques_parent"][:, 1:], two["torques_parent"][:, 1:], atol=1e-6)
    for name in ("torques", "forces", "com", "root_force"):
        np.testing.assert_allclose(one[name], two[name] @ _UPRIGHT[up].T, atol=1e-5)  # type: ignore[index]


def test_smpls_world_keeps_the_body_where_it_is(walk: Poses) -> None:
    rest = np.random.default_rng(0).normal(size=(24, 3))
    poses = dataclasses.replace(turned(walk, "z"), joint_positions=rest)
    pelvis = poses.translation + rest[0]
    found = in_smpls_world(poses)
    np.testing.assert_allclose(found.translation + rest[0], pelvis @ _UPRIGHT["z"].T, atol=1e-12)


def test_without_contact_everything_is_at_the_root(file: Path, tmp_path: Path) -> None:
    journal = Journal()
    torques_step(file, tmp_path, contact="none", journal=journal)
    with np.load(tmp_path / "torques.npz") as held:
        assert held["root_force"][10:-10, 1].mean() == pytest.approx(70.0 * GRAVITY, rel=0.1)
    assert not (tmp_path / "loads.mot").exists()
    assert any(n.kind == "warning" and "nothing says what carries the body" in n.text for n in journal.notices)


def test_measured_loads_take_the_place_of_found_ones(file: Path, results: Path, tmp_path: Path) -> None:
    """The loads that were found, given as if they were measured, give the same torques."""
    journal = Journal()
    torques_step(file, tmp_path, loads=results / "loads.mot", journal=journal)
    with np.load(tmp_path / "torques.npz") as one, np.load(results / "torques.npz") as two:
        assert np.median(np.abs(one["torques"] - two["torques"])[5:-5]) < 0.5
    assert any("loads are in ground" in n.text for n in journal.notices)


def test_missing_frames_are_left_out_and_said(walk: Poses, tmp_path: Path) -> None:
    turns = walk.rotations.copy()
    turns[50:53, 4] = np.nan
    write_poses(tmp_path / "gap.npz", dataclasses.replace(walk, rotations=turns))
    journal = Journal()
    torques_step(tmp_path / "gap.npz", tmp_path / "out", rates="central", journal=journal)
    with np.load(tmp_path / "out" / "torques.npz") as held:
        missing = np.isnan(held["torques"]).any(axis=(1, 2))
    assert missing[50:53].all() and missing.sum() < 10
    said = "\n".join(n.text for n in journal.notices)
    assert "3 of 120 frames" in said and "their torques are left out" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mass", "7000"], "no body mass"),
        (["--height", "178"], "did you mean 1.78"),
        (["--fps", "0"], "no frame rate"),
        (["--up", "x"], "no up axis of SMPL poses"),
        (["--end", "0.02"], "no accelerations"),
        (["--start", "2", "--end", "1"], "not after --start"),
        (["--rates", "magic"], "no way to rates called 'magic'"),
        (["--cutoff", "-6"], "must be a positive frequency"),
        (["--cutoff", "6", "--rates", "central"], "--cutoff goes with --rates auto, butterworth or spline"),
        (["--cutoff", "31"], "half the"),
    ],
)
def test_wrong_options_are_one_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    try:
        code = main(["torques", str(file), "--out", str(tmp_path / "out"), *options])
    except SystemExit as stopped:  # argparse's own way
        code = int(str(stopped.code))
    error = capsys.readouterr().err.strip()
    assert code == 2 and said in error and error.count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_people_of_no_size_are_refused(walk: Poses, tmp_path: Path) -> None:
    for change in ({"mass": 1e4}, {"height": 17.0}):
        write_poses(tmp_path / "x.npz", dataclasses.replace(walk, **change))  # type: ignore[arg-type]
        with pytest.raises(MotorqueError, match="is no person's"):
            torques_step(tmp_path / "x.npz", tmp_path / "out")


def test_one_frame_has_no_accelerations(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", poses=np.zeros((1, 72)), trans=np.zeros((1, 3)), fps=30)
    with pytest.raises(DataError, match="one frame has no accelerations, which need 7"):
        torques_step(tmp_path / "one.npz", tmp_path / "out")


def test_unknown_size_is_assumed_and_said(walk: Poses, tmp_path: Path) -> None:
    write_poses(tmp_path / "x.npz", dataclasses.replace(walk, mass=None, height=None, sex="unknown"))
    journal = Journal()
    torques_step(tmp_path / "x.npz", tmp_path / "out", contact="none", journal=journal)
    said = "\n".join(n.text for n in journal.notices if n.kind == "assumption")
    assert "67.5 kg" in said and "1.74 m" in said and "--mass" in said and "--height" in said


def test_a_cutoff_takes_the_place_of_the_automatic_choice(file: Path, tmp_path: Path) -> None:
    torques_step(file, tmp_path, cutoff=4.0, contact="none")
    found = json.loads((tmp_path / "summary.json").read_text())
    assert found["settings"]["rates"] == "butterworth" and found["settings"]["cutoff_hz"] == 4.0
    assert "chosen filter" in found["uncertainty"]["included"]
    assert "forces from outside" in found["uncertainty"]["excluded"]


def test_too_few_frames_for_noise_have_no_error_bars(file: Path, tmp_path: Path) -> None:
    journal = Journal()
    torques_step(file, tmp_path, end=0.12, contact="none", rates="central", journal=journal)
    assert np.isfinite(read_storage(tmp_path / "kinetics_std.sto").data[:, 1:]).any()  # noise is told by all frames
    write_poses(tmp_path / "few.npz", read_poses(file).frames(slice(0, 8)))
    torques_step(tmp_path / "few.npz", tmp_path / "few", contact="none", journal=journal)
    assert np.isnan(read_storage(tmp_path / "few" / "kinetics_std.sto").data[:, 1:]).all()
    said = "\n".join(n.text for n in journal.notices if n.kind == "warning")
    assert "8 frames are too few to tell noise from movement" in said and "usual 6 Hz" in said
