"""InPose's data: recordings on 22 joints at 60 Hz, each once, split by subject, read from disk by windows."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from inpose_people import people_folder, people_library, person
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.folds import CMU_TEST, CMU_VALIDATION, default_split, leave_one_out, split
from motorque.estimators.inpose.heading import forward_angle, heading, turned
from motorque.estimators.inpose.library import FILES, Movement, fingerprint, load_library, make_library, minutes_table
from motorque.estimators.inpose.mirror import mirrored, mirrored_place, mirrored_points
from motorque.estimators.inpose.recordings import Source, read_recordings, read_source, smooth_runs
from motorque.estimators.inpose.resample import resampled
from motorque.estimators.inpose.sources import sources_in
from motorque.estimators.inpose.tree import (
    HEAD,
    JOINTS,
    PARENTS,
    angles_between,
    columns,
    global_rotations,
    matrices,
    places,
    resting,
    standing_length,
)
from motorque.estimators.inpose.twins import find_twins, likeness, way
from motorque.estimators.inpose.windows import Batches, Windows
from motorque.fitting.smpl_from_bones import joint_centres
from motorque.journal import Journal
from motorque.training.loop import step_generator

EXACT = 1e-12
SINGLE = 2e-5
"""Rounding of float32 over chains of ten joints and velocities of 60 Hz."""


def numbers(seed: int = 0, frames: int = 60) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One made-up person: rotations [1, T, 22, 6], the pelvis [1, T, 3], rest joints [1, 22, 3]."""
    poses = person(seed, frames=frames)
    turns, pelvis = global_rotations(poses)
    return tuple(torch.tensor(x)[None] for x in (columns(turns), pelvis, resting(poses)))  # type: ignore[return-value]


def test_places_are_the_poses_joint_centres() -> None:
    poses = person(1)
    rotations, pelvis, rest = numbers(1, len(poses.times))
    found = places(rotations, rest[:, None], pelvis)[0].numpy()
    np.testing.assert_allclose(found, joint_centres(poses)[:, :22], atol=EXACT)


@pytest.mark.parametrize("up", ["z", "-y", "-z"])
def test_other_worlds_are_turned_upright(up: str) -> None:
    """The same person in a world with another axis up has the same heights."""
    poses = person(2)
    angle = {"z": np.pi / 2, "-y": np.pi, "-z": -np.pi / 2}[up]
    world = Rotation.from_rotvec([angle, 0, 0]).as_matrix()
    rotations = poses.rotations.copy()
    rotations[:, 0] = world @ rotations[:, 0]
    pelvis = poses.translation + poses.joint_positions[0]
    other = dataclasses.replace(
        poses, rotations=rotations, translation=pelvis @ world.T - poses.joint_positions[0], up=up
    )
    for found, wanted in zip(global_rotations(other), global_rotations(poses), strict=True):
        np.testing.assert_allclose(found, wanted, atol=EXACT)


def test_six_numbers_and_matrices_are_one() -> None:
    turns = Rotation.random(50, random_state=1).as_matrix()
    np.testing.assert_allclose(matrices(torch.tensor(columns(turns))).numpy(), turns, atol=EXACT)
    other = turns @ Rotation.from_rotvec([0.0, 0.3, 0.0]).as_matrix()
    apart = angles_between(torch.tensor(columns(turns)), torch.tensor(columns(other)))
    np.testing.assert_allclose(apart.numpy(), 0.3, atol=1e-9)


def test_a_mirror_image_has_its_joints_mirrored() -> None:
    rotations, pelvis, rest = numbers(3)
    points = places(rotations, rest[:, None], pelvis)
    other = places(mirrored(rotations), mirrored_points(rest)[:, None], mirrored_place(pelvis))
    np.testing.assert_allclose(other.numpy(), mirrored_points(points).numpy(), atol=EXACT)
    assert torch.equal(mirrored(mirrored(rotations)), rotations)
    left, right = JOINTS.index("left_wrist"), JOINTS.index("right_wrist")
    assert torch.equal(other[0, :, left, 1], points[0, :, right, 1])
    names = [JOINTS[PARENTS[JOINTS.index(name)]] for name in ("left_wrist", "right_wrist")]
    assert names == ["left_elbow", "right_elbow"]


def test_turning_moves_joints_as_points() -> None:
    rotations, pelvis, rest = numbers(4)
    angle = torch.tensor([2.0], dtype=torch.float64)
    one = turned(places(rotations, rest[:, None], pelvis), angle)
    other = places(turned(rotations, angle), rest[:, None], turned(pelvis, angle))
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=EXACT)
    gained = heading(turned(rotations, angle)) - heading(rotations) - 2.0
    np.testing.assert_allclose(np.cos(gained.numpy()), 1.0, atol=EXACT)


def test_windows_are_turned_by_what_was_seen() -> None:
    rotations, _, _ = numbers(5, 41)
    seen = torch.zeros(1, 41, 22, dtype=torch.bool)
    assert float(forward_angle(rotations, seen)) == 0.0
    seen[0, 30:, 4] = True  # a knee, late
    assert float(forward_angle(rotations, seen)) == pytest.approx(-float(heading(rotations)[0, 30, 4]))
    seen[0, :, HEAD] = True
    straight = turned(rotations, forward_angle(rotations, seen))
    assert float(heading(straight)[0, 20, HEAD]) == pytest.approx(0.0, abs=1e-9)


def test_every_second_frame_is_taken_as_it_is() -> None:
    turns = Rotation.random(21 * 2, random_state=0).as_matrix().reshape(21, 2, 3, 3)
    place = np.random.default_rng(0).normal(size=(21, 3))
    found, where = resampled(np.arange(21) / 120, turns, place, 60.0)
    assert np.array_equal(found, turns[::2]) and np.array_equal(where, place[::2])


@pytest.mark.parametrize("rate", [24.0, 30.0, 50.0, 100.0, 240.0])
def test_other_rates_are_resampled_on_the_rotations(rate: float) -> None:
    """A body that turns at constant speed, past half a turn, does so at any rate; times may be uneven."""
    jitter = np.random.default_rng(1).uniform(-0.3, 0.3, 100) if rate == 50 else 0.0
    times = (np.arange(100) + jitter) / rate
    axis = np.array([1.0, 2.0, -1.0])
    turns = Rotation.from_rotvec(times[:, None] * axis).as_matrix()[:, None]
    found, where = resampled(times, turns, np.outer(times, [1.0, 0.0, -2.0]), 60.0)
    even = times[0] + np.arange(len(found)) / 60
    assert times[-1] - 1 / 60 < even[-1] <= times[-1] + 1e-9
    np.testing.assert_allclose(found[:, 0], Rotation.from_rotvec(even[:, None] * axis).as_matrix(), atol=1e-9)
    np.testing.assert_allclose(where, np.outer(even, [1.0, 0.0, -2.0]), atol=1e-9)


@pytest.mark.parametrize("times", [[0.0], [0.0, 1.0, 2.0], [0.0, 1e-5]])
def test_rates_that_are_none_are_refused(times: list[float]) -> None:
    with pytest.raises(DataError, match="single frame|frames per second"):
        resampled(np.array(times), np.broadcast_to(np.eye(3), (len(times), 1, 3, 3)), np.zeros((len(times), 3)), 60.0)


def test_jumps_cut_a_recording() -> None:
    turns, pelvis = global_rotations(person(6, frames=200))
    assert smooth_runs(turns, pelvis) == [(0, 200)]
    pelvis[120:] += 1.0
    turns[60:, 20] = turns[60:, 20] @ Rotation.from_rotvec([3.0, 0, 0]).as_matrix()
    assert smooth_runs(turns, pelvis) == [(0, 60), (60, 120), (120, 200)]
    pelvis[30:] += 1.0
    assert smooth_runs(turns, pelvis) == [(60, 120), (120, 200)]


def source(name: str, encoding: str, rank: int, subject: str = "") -> Source:
    return Source(Path(name), name, subject, "walk", encoding, rank)


def test_a_way_is_the_same_in_another_world() -> None:
    """Turned, moved, scaled, begun later, cut, and written with four digits."""
    trace = global_rotations(person(7, frames=300))[1]
    world = Rotation.from_rotvec([0, 1.1, 0]).as_matrix()
    other = np.round(0.7 * trace @ world.T + [3.0, 0.2, -1.0], 4)
    alike, shift = likeness(way(trace), way(other[20:280]))
    assert alike > 0.98 and shift == 20
    alike, shift = likeness(way(trace[13:]), way(other))
    assert alike > 0.98 and shift == -13
    assert likeness(way(trace), way(global_rotations(person(8, frames=300))[1]))[0] < 0.9
    assert likeness(way(trace[:20]), way(trace[:20]))[0] == -1.0


def test_twins_keep_the_one_nearer_to_what_was_measured(tmp_path: Path) -> None:
    own = read_source(dataclasses.replace(_written(tmp_path / "a.npz", 9), encoding="asfamc", subject="s"))[0][0]
    again = dataclasses.replace(own, source=source("b", "expmap", 1), trace=own.trace[1:])
    third = dataclasses.replace(own, source=source("c", "bvh", 2))
    same = dataclasses.replace(own, source=source("d", "asfamc", 0))  # nobody is in one encoding twice
    found = find_twins([own, again, third, same])
    assert {name: twin.other for name, twin in found.items()} in (
        {"b": own.source.name, "c": own.source.name},
        {"b": "d", "c": own.source.name},
        {"b": own.source.name, "c": "d"},
        {"b": "d", "c": "d"},
    )


def _written(path: Path, seed: int) -> Source:
    from motorque.files.smpl_poses import write_poses

    write_poses(path, person(seed))
    return Source(path, path.name, "", "", "npz")


CMU_TWINS = {
    "expmap/test/walking/walking_1.txt": "asfamc/35/35_01.amc",
    "expmap/train/walking/walking_1.txt": "asfamc/02/02_01.amc",
    "bvh/006/006_02.bvh": "expmap/train/basketball/basketball_1.txt",
    "bvh/007/007_01.bvh": "expmap/train/walking/walking_4.txt",
    "bvh/005/005_01.bvh": "expmap/train/walking/walking_2.txt",
}
OTHERS = ("asfamc/02/02_02.amc", "expmap/train/walking/walking_3.txt", "bvh/007/007_09.bvh", "bvh/131_01.bvh")


def test_cmus_twins_are_found_and_joints_are_where_their_sources_have_them(data: Path) -> None:
    """A few files of each encoding; all of them are matched when a library is made."""
    wanted = {*CMU_TWINS, *CMU_TWINS.values(), *OTHERS}
    some = [s for s in sources_in([data / "cmu"]) if s.name in wanted]
    assert len(some) == len(wanted)
    recordings = read_recordings(some, journal=Journal())
    assert {name: twin.other for name, twin in find_twins(recordings).items()} == CMU_TWINS
    assert max(r.off for r in recordings) < 1e-6  # a micrometre: bones are rigid, numbers in files are rounded


def movement(name: str, subject: str, likely: str = "", frames: int = 100) -> Movement:
    return Movement(name, subject, likely, "walk", name, 0, frames, ((0.0, 0.0, 0.0),) * 22)


def test_nobody_is_learned_from_and_tested() -> None:
    some = [
        movement("a", "02"), movement("b", "06"), movement("c", "49"), movement("d", "131"), movement("e", "07"),
        movement("f", "01"), movement("g", "", "49"), movement("h", "", "06?"), movement("i", "", "12?"),
    ]  # fmt: skip
    fold = default_split(some)
    assert [m.subject for m in fold.test] == ["02", "06", "49"] == list(CMU_TEST)
    assert {m.subject for m in fold.validation} == set(CMU_VALIDATION)
    assert [m.name for m in fold.train] == ["f", "i"] and [m.name for m in fold.left_out] == ["g", "h"]
    folds = leave_one_out(some)
    assert [name for name, _ in folds] == ["01", "02", "06", "07", "131", "49"]
    for name, one in folds:
        assert {m.subject for m in one.test} == {name} and name not in {m.subject for m in one.train}
        assert all(m.subject for m in one.test), "who is not known is never tested"
    assert "g" in [m.name for m in dict(folds)["49"].left_out] and "g" in [m.name for m in dict(folds)["01"].train]
    with pytest.raises(DataError, match="no subject '99'"):
        split(some, test=["99"])
    with pytest.raises(DataError, match="both tested and watched"):
        split(some, test=["02"], validation=["02"])
    with pytest.raises(DataError, match="nobody is left"):
        split(some[:2], test=["02", "06"])
    with pytest.raises(DataError, match="too few"):
        default_split(some[:2])


def test_a_library_is_what_was_read_and_stays_on_disk(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "data")
    (folder / "s0" / "broken.npz").write_bytes(b"no archive")
    (folder / "s0" / "notes.txt").write_text("nothing")
    np.savez(folder / "s1" / "shape.npz", betas=np.zeros(10))
    journal = Journal()
    library = make_library([folder], tmp_path / "library", journal=journal)
    skipped = [n for n in journal.notices if n.kind == "warning"]
    assert len(skipped) == 1 and "broken.npz" in skipped[0].text and "skipped" in skipped[0].text
    assert len(library.movements) == 8 and {m.subject for m in library.movements} == {f"data/s{k}" for k in range(4)}
    poses = person(11, frames=100, height=1.65)
    found = next(m for m in library.movements if m.name == "data/s1/r1.npz")
    rows = slice(found.first, found.first + found.frames)
    turns, pelvis = global_rotations(poses)
    np.testing.assert_allclose(library.rotations[rows], columns(turns), atol=1e-6)
    np.testing.assert_allclose(library.pelvis[rows], pelvis, atol=1e-6)
    np.testing.assert_allclose(found.rest, resting(poses), atol=1e-9)
    assert isinstance(library.rotations.base, np.memmap), "frames are mapped, not read"
    table = minutes_table(library.movements)
    assert table.count("data/s") == 4 and table.splitlines()[-1].split()[1] == "8"
    again = load_library(tmp_path / "library")
    assert again == library
    (tmp_path / "library" / FILES[1]).write_bytes(b"")
    with pytest.raises(FileFormatError, match="make it again"):
        load_library(tmp_path / "library")


def test_a_fingerprint_is_of_contents_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = people_folder(tmp_path / "data", 2, 1)
    first = fingerprint(sources_in([folder]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(folder)
    shutil.copytree(folder, tmp_path / "elsewhere" / "other")
    (folder / "s0" / "r0.npz").touch()
    spelled = ["data", "./data/", "elsewhere/../data", "link", "elsewhere/other"]
    assert {fingerprint(sources_in([name])) for name in spelled} == {first}
    named = sources_in([folder])
    monkeypatch.chdir(folder)
    assert [(s.name, s.subject) for s in sources_in(["."])] == [(s.name, s.subject) for s in named]
    assert fingerprint(sources_in(["."])) == first
    # As large and as old as before, but another recording; then one of another name
    recording, about = folder / "s0" / "r0.npz", os.stat(folder / "s0" / "r0.npz")
    content = bytearray(recording.read_bytes())
    content[len(content) // 2] ^= 1
    recording.write_bytes(content)
    os.utime(recording, ns=(about.st_atime_ns, about.st_mtime_ns))
    other = fingerprint(sources_in([folder]))
    recording.rename(folder / "s0" / "r9.npz")
    assert len({first, other, fingerprint(sources_in([folder]))}) == 3


def test_a_fingerprint_is_of_skeletons_too(tmp_path: Path) -> None:
    (tmp_path / "asfamc" / "01").mkdir(parents=True)
    (tmp_path / "asfamc" / "01" / "01_01.amc").write_text("motion")
    skeleton = tmp_path / "asfamc" / "01" / "01.asf"
    found = set()
    for content in ("short", "long"):
        skeleton.write_text(content)
        found.add(fingerprint(sources_in([tmp_path])))
    assert len(found) == 2


def test_libraries_with_fingerprints_of_times_still_open(tmp_path: Path) -> None:
    library = people_library(tmp_path, 2, 1)
    index = json.loads((library.folder / FILES[2]).read_text())
    index["fingerprint"] = "5c6cb82f6961bb89"
    (library.folder / FILES[2]).write_text(json.dumps(index))
    again = load_library(library.folder)
    assert again.fingerprint == "5c6cb82f6961bb89" and again.movements == library.movements


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npz", b"nothing", "none of the 1 files"),
        ("a.txt", b"nothing", "holds no recording"),
        (None, b"", "holds no"),
    ],
)
def test_a_folder_without_a_recording_is_one_line(
    tmp_path: Path, name: str | None, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from motorque.estimators.inpose.library import main

    (tmp_path / "data").mkdir()
    if name:
        (tmp_path / "data" / name).write_bytes(content)
    assert main([str(tmp_path / "data"), "--out", str(tmp_path / "library"), "--workers", "1"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "library").exists()


def test_a_recording_is_given_once(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "data", 1, 1)
    with pytest.raises(DataError, match="in two of the folders"):
        sources_in([folder, folder])
    with pytest.raises(DataError, match="no such folder"):
        sources_in([tmp_path / "nowhere"])


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    folder = tmp_path_factory.mktemp("people")
    library = people_library(folder, 2, 2)
    return Windows(library, library.movements)


def test_windows_are_all_there_and_none_crosses_two_recordings(windows: Windows) -> None:
    assert len(windows) == 2 * (90 - 40) + 2 * (100 - 40)
    rotations, pelvis, rest = windows.read(np.arange(len(windows)))
    assert rotations.shape == (len(windows), 41, 22, 6) and rest.shape == (len(windows), 22, 3)
    step = angles_between(rotations[:, 1:], rotations[:, :-1]).amax()
    assert float(step) < 0.2, "a window that crosses two recordings has a jump"
    first = windows.movements[0]
    assert np.array_equal(rotations[3].numpy(), windows.library.rotations[first.first + 3 : first.first + 44])
    assert np.array_equal(pelvis[50].numpy()[0], windows.library.pelvis[windows.movements[1].first])


def test_a_batch_comes_from_its_step_alone(windows: Windows) -> None:
    batches = Batches(windows, 16)
    one, again = batches(step_generator(0, 5), 5), batches(step_generator(0, 5), 5)
    other = batches(step_generator(0, 6), 6)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one.clean, other.clean)
    assert torch.isfinite(one.channels).all() and one.clean.shape == (16, 41, 22, 6)
    # What is told is what there is
    seen = one.told.seen
    assert torch.equal(one.channels[..., :6][seen], one.clean[seen])
    assert not one.channels[..., :12][~seen].any() and not one.channels[..., 12:][~one.placed].any()


def test_libraries_open_in_other_processes(windows: Windows) -> None:
    """Without their frames being sent along."""
    import pickle

    assert len(windows.library.rotations) == 380
    assert len(pickle.dumps(windows)) < 60_000 < windows.library.rotations.nbytes


def test_standing_lengths_are_somebodys() -> None:
    assert standing_length(resting(person(0, height=1.7))) == pytest.approx(1.5, abs=0.08)
    with pytest.raises(DataError, match="above the ankles"):
        standing_length(np.zeros((22, 3)))


def test_the_command_prints_minutes(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "data", 2, 1)
    command = [sys.executable, "-m", "motorque.estimators.inpose.library", str(folder), "--out", str(tmp_path / "l")]
    done = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "data/s1" in done.stdout and "minutes" in done.stdout, done.stderr
