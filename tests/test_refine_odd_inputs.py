"""Odd inputs of `motorque refine`: each is refused in one clear line and leaves nothing, or does the right thing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.cli import main
from motorque.files.motion_files import read_motion, write_motion
from motorque.files.osim_write import write_osim
from motorque.files.smpl_poses import write_poses
from motorque.series import Motion
from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.synthesis.stride import fit_stride

SKELETON = fullbody()


class Rows:
    """A `.mot` whose lines can be changed."""

    def __init__(self, path: Path) -> None:
        head, body = path.read_text().split("endheader\n")
        # Without the count of rows: a file that is cut off is another matter.
        self.head = "\n".join(x for x in head.split("\n") if "nRows" not in x)
        lines = [line.split("\t") for line in body.strip().split("\n")]
        self.columns, self.rows = lines[0], lines[1:]

    def write(self, path: Path) -> Path:
        path.parent.mkdir(exist_ok=True, parents=True)
        lines = "\n".join("\t".join(row) for row in [self.columns, *self.rows])
        path.write_text(f"{self.head}endheader\n{lines}\n")
        return path

    def without(self, stem: str) -> None:
        kept = [k for k, name in enumerate(self.columns) if not name.startswith(stem)]
        self.columns, self.rows = [self.columns[k] for k in kept], [[row[k] for k in kept] for row in self.rows]

    def column(self, name: str, value: str, rows: slice = slice(None)) -> None:
        for row in self.rows[rows]:
            row[self.columns.index(name)] = value

    def in_radians(self) -> None:
        for k, name in enumerate(self.columns):
            if k and SKELETON.coordinates[SKELETON.coordinate(name)].rotational:
                for row in self.rows:
                    row[k] = f"{np.radians(float(row[k])):.9f}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and a noisy walk."""
    folder = tmp_path_factory.mktemp("walk")
    times = np.arange(40) / 60
    values = fit_stride(SKELETON, iterations=2).at(SKELETON, 0.35 + times / 1.04)
    values = values + 0.01 * np.random.default_rng(0).normal(size=values.shape)
    values = SKELETON.couple(torch.as_tensor(values)).numpy()
    write_osim(folder / "m.osim", SKELETON)
    write_motion(folder / "walk.mot", Motion(times, values, SKELETON.coordinate_names), SKELETON)
    return folder


def refused(arguments: list[str], out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which the command refuses its input."""
    there = out.exists()
    try:
        code = main([*arguments, "--out", str(out)])
    except SystemExit as stopped:  # argparse's own way
        code = int(str(stopped.code))
    error = capsys.readouterr().err.strip()
    assert code == 2 and error.count("\n") == 0 and error.startswith("motorque: "), error
    assert out.exists() == there and not list(out.parent.glob(".motorque*"))
    return error


def first(count: int) -> Callable[[Rows], None]:
    def cut(rows: Rows) -> None:
        rows.rows = rows.rows[:count]

    return cut


def swapped(rows: Rows) -> None:
    rows.rows = rows.rows[10:] + rows.rows[:10]


def holes(rows: Rows) -> None:
    rows.rows = rows.rows[:20] + rows.rows[25:]


def said_radians(rows: Rows) -> None:
    rows.head = rows.head.replace("inDegrees=yes", "inDegrees=no")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (first(0), "has columns but no rows"),
        (first(1), "1 frames are too few"),
        (first(3), "3 frames are too few"),
        (first(8), "8 frames are too few"),
        (swapped, "sort the frames by time"),
        (holes, "resample to a constant rate"),
        (said_radians, "if they are degrees, write inDegrees=yes"),
        (lambda rows: rows.column("hip_flexion_r", "nan", slice(5, 6)), "hip_flexion_r is not a number at 0.083"),
        (lambda rows: rows.column("hip_flexion_r", "1e300"), "hip_flexion_r is 1.75e+298 rad at 0 s"),
        (lambda rows: rows.column("pelvis_tx", "-1e9", slice(3, 4)), "pelvis_tx is -1e+09 m at 0.05 s"),
        (lambda rows: rows.column("hip_flexion_r", "much"), "'much' is no number"),
        (lambda rows: rows.column("time", "inf"), "time of frame 0 is not a number"),
        (
            lambda rows: rows.columns.__setitem__(slice(1, None), [f"x{k}" for k in rows.columns[1:]]),
            "none of its columns",
        ),
    ],
)
def test_motions_that_are_none(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Callable[[Rows], object], said: str
) -> None:
    rows = Rows(files / "walk.mot")
    change(rows)
    path = rows.write(tmp_path / "odd.mot")
    error = refused(["refine", str(path), "--model", str(files / "m.osim")], tmp_path / "out", capsys)
    assert said in error and "odd.mot" in error, error


def test_files_that_do_not_belong_together(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, walk, out = str(files / "m.osim"), str(files / "walk.mot"), tmp_path / "out"
    (tmp_path / "walk.txt").write_text((files / "walk.mot").read_text())
    (tmp_path / "walk.npz").write_text((files / "walk.mot").read_text())
    (tmp_path / "bad.osim").write_text("<OpenSimDocument>")
    (tmp_path / "empty.mot").touch()
    for arguments, said in (
        ([walk], "give the .osim with --model"),
        ([str(tmp_path / "walk.txt"), "--model", model], "walk.txt: is no motion"),
        ([str(tmp_path / "walk.npz")], "walk.npz: is no numpy archive"),
        ([str(tmp_path / "nobody.mot"), "--model", model], "there is no such file"),
        ([walk, "--model", str(tmp_path / "walk.txt")], "is not a .osim"),
        ([walk, "--model", str(tmp_path / "bad.osim")], "bad.osim: not well-formed XML"),
        ([str(tmp_path / "empty.mot"), "--model", model], "the file is empty"),
        ([walk, "--model", model, "--fps", "30"], "--fps: goes with poses"),
        ([walk, "--model", model, "--start", "50"], "walk.mot: motion: no frame between"),
        ([walk, "--model", model, "--start", "0.1", "--end", "0.15"], "walk.mot: motion: 4 frames are too few"),
        ([walk, "--model", model, "--start", "0.3", "--end", "0.1"], "is not after --start"),
    ):
        assert said in refused(["refine", *arguments], out, capsys)


def test_folders_that_are_none(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, walk = str(files / "m.osim"), files / "walk.mot"
    before = walk.read_bytes()
    (tmp_path / "note.txt").write_text("kept")
    command = ["refine", str(walk), "--model", model]
    assert "is a file" in refused(command, tmp_path / "note.txt", capsys)
    assert "not a folder" in refused(command, tmp_path / "note.txt" / "out", capsys)
    assert (tmp_path / "note.txt").read_text() == "kept"
    (tmp_path / "motion.mot").write_bytes(before)
    error = refused(["refine", str(tmp_path / "motion.mot"), "--model", model], tmp_path, capsys)
    assert "would be overwritten" in error and (tmp_path / "motion.mot").read_bytes() == before


def test_what_is_mended_or_assumed_is_said(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = Rows(files / "walk.mot")
    rows.without("knee_angle")
    rows.rows.insert(20, rows.rows[19])
    path = rows.write(tmp_path / "Gänge 歩く" / "wälk.mot")
    model = tmp_path / "Gänge 歩く" / "mödell.osim"
    model.write_bytes((files / "m.osim").read_bytes())
    out = tmp_path / "aus gäng"
    assert main(["refine", str(path), "--model", str(model), "--method", "smooth", "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "lacks 2 coordinates, which stay at the model's default: knee_angle_r, knee_angle_l" in said
    assert "1 rows repeat the time of the row before" in said
    assert len(read_motion(out / "motion.mot", SKELETON).times) == 40
    notices = json.loads((out / "summary.json").read_text(encoding="utf-8"))["notices"]
    assert {"repair", "assumption"} <= {n["kind"] for n in notices}
    assert "wälk" in (out / "report.html").read_text(encoding="utf-8")


def test_radians_that_are_called_degrees_are_doubted(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Rows(files / "walk.mot")
    rows.in_radians()
    path = rows.write(tmp_path / "walk.mot")
    arguments = [
        "refine",
        str(path),
        "--model",
        str(files / "m.osim"),
        "--method",
        "smooth",
        "--out",
        str(tmp_path / "o"),
    ]
    assert main(arguments) == 0
    assert "if they are radians, write inDegrees=no there" in capsys.readouterr().err


def test_a_motion_without_noise_is_said_to_have_none(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Rows(files / "walk.mot")
    rows.rows = [[row[0], *rows.rows[0][1:]] for row in rows.rows]
    path = rows.write(tmp_path / "still.mot")
    assert main(["refine", str(path), "--model", str(files / "m.osim"), "--out", str(tmp_path / "o")]) == 0
    assert "no noise that shows" in capsys.readouterr().err
    given, found = (read_motion(x, SKELETON).values for x in (path, tmp_path / "o" / "motion.mot"))
    assert np.abs(given - found).max() < 1e-6


@pytest.mark.parametrize("command", ["torques", "refine"])
def test_betas_without_a_model_say_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    walk = smpl_walk(frames=25)
    np.savez(
        tmp_path / "x.npz",
        poses=walk.rotation_vectors.reshape(25, 72),
        trans=walk.translation,
        mocap_framerate=30.0,
        betas=np.ones(10),
    )
    assert main([command, str(tmp_path / "x.npz"), "--out", str(tmp_path / "out")]) == 0
    lines = [x for x in capsys.readouterr().err.splitlines() if "betas" in x]
    assert len(lines) == 1 and "x.npz" in lines[0] and "give the model's file with --model" in lines[0]
    notices = json.loads((tmp_path / "out" / "summary.json").read_text())["notices"]
    assert any("betas" in notice["text"] for notice in notices)


@pytest.mark.parametrize("command", ["torques", "refine"])
def test_whose_mass_or_height_is_wrong_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    walk = smpl_walk(frames=25)
    arrays = {"poses": walk.rotation_vectors.reshape(25, 72), "trans": walk.translation, "mocap_framerate": 30.0}
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    np.savez(tmp_path / "heavy.npz", **arrays, mass=7000.0)  # type: ignore[arg-type]
    np.savez(tmp_path / "tall.npz", **arrays, height=17.0)  # type: ignore[arg-type]
    for arguments, said in (
        (["heavy.npz"], "heavy.npz: a mass of 7000 kg is no person's; give it in kilograms"),
        (["tall.npz"], "tall.npz: a height of 17 m is no person's; give it in metres"),
        (["x.npz", "--mass", "1000"], "--mass: 1000 is no body mass"),
        (["x.npz", "--mass", "-3"], "--mass: -3 is no body mass"),
        (["x.npz", "--height", "175"], "--height: 175 is no body height; give metres, did you mean 1.75?"),
        (["x.npz", "--height", "nan"], "--height: nan is not a finite number"),
    ):
        assert said in refused([command, str(tmp_path / arguments[0]), *arguments[1:]], tmp_path / "out", capsys)


@pytest.mark.parametrize("command", ["torques", "refine"])
def test_a_mass_that_does_not_go_with_the_height_is_doubted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    write_poses(tmp_path / "x.npz", smpl_walk(frames=25))
    arguments = [command, str(tmp_path / "x.npz"), "--mass", "600", "--height", "0.6", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert "600.0 kg at 0.60 m is a body mass index of 1667" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_interrupted_halfway_it_leaves_nothing(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = (
        "import sys, time, motorque.workflows.refine as r\n"
        "def wait(*a, **k):\n    print('here', flush=True)\n    time.sleep(60)\n"
        "r.refined_motion_told = wait\n"
        "from motorque.cli import main\n"
        f"sys.exit(main(['refine', {str(files / 'walk.mot')!r}, '--model', {str(files / 'm.osim')!r}, "
        f"'--method', 'smooth', '--out', {str(out)!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error and error.strip().splitlines()[-1].startswith("motorque: ")
    assert not list(tmp_path.iterdir())
