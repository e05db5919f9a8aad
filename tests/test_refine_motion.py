"""Refinement of a model's motion, and `motorque refine` for poses and motions alike."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.cli import main
from motorque.cli_arguments import REFINE_RESULTS
from motorque.errors import DataError
from motorque.files.motion_files import read_motion, write_motion
from motorque.files.osim import load_skeleton
from motorque.files.osim_write import write_osim
from motorque.files.smpl_poses import read_poses, write_poses
from motorque.fitting.refine import RefineSettings
from motorque.fitting.refine_motion import _Body, refine_motion
from motorque.journal import Journal
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.series import Motion
from motorque.series.poses import Poses
from motorque.signals import butterworth
from motorque.skeleton.fullbody import fullbody
from motorque.studies.noise.models import White, noisy_rotations
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.synthesis.stride import fit_stride
from motorque.workflows.refine import REFINED

RATE = 60.0
SKELETON = fullbody()
FREE = list(SKELETON.free_coordinates)
ANGLES = [n for n in FREE if SKELETON.coordinates[n].rotational]


@pytest.fixture(scope="module")
def walk() -> Motion:
    times = np.arange(180) / RATE
    values = fit_stride(SKELETON, iterations=4).at(SKELETON, 0.35 + times / 1.04)
    values = SKELETON.couple(torch.as_tensor(values)).numpy()
    return Motion(times, values, SKELETON.coordinate_names)


def spoiled(motion: Motion, seed: int = 0) -> Motion:
    """With 2 degrees and 5 mm of noise on free coordinates."""
    values = motion.values.copy()
    noise = np.random.default_rng(seed).normal(size=values.shape)
    size = np.array([np.radians(2) if c.rotational else 0.005 for c in SKELETON.coordinates])
    values[:, FREE] += (size * noise)[:, FREE]
    return dataclasses.replace(motion, values=SKELETON.couple(torch.as_tensor(values)).numpy())


def torques(values: np.ndarray) -> np.ndarray:
    rate = (values[2:] - values[:-2]) * RATE / 2
    second = (values[2:] - 2 * values[1:-1] + values[:-2]) * RATE**2
    arrays = [torch.as_tensor(np.ascontiguousarray(x)) for x in (values[1:-1], rate, second)]
    return np.asarray(inverse_dynamics(SKELETON, *arrays, backend="torch").numpy()[:, FREE])


def test_refined_motion_is_nearer_to_the_truth_than_any_filter(walk: Motion) -> None:
    noisy = spoiled(walk)
    found = refine_motion(SKELETON, noisy)

    def errors(values: np.ndarray) -> tuple[float, float]:
        return (
            float(np.abs(torques(values) - torques(walk.values)).mean()),
            float(np.abs(values - walk.values)[:, ANGLES].mean()),
        )

    torque, angle = errors(found.motion.values)
    filtered = [errors(butterworth(noisy.values, RATE, cutoff)) for cutoff in (2, 2.5, 3, 4, 6)]
    assert torque < min(x for x, _ in filtered)
    assert angle < min(y for _, y in filtered)
    assert torque < 0.02 * errors(noisy.values)[0]
    assert np.degrees(np.median(found.noise[ANGLES])) == pytest.approx(2.0, rel=0.15)
    # Standard deviations are those of smoothing, before mechanics
    smoothed = refine_motion(SKELETON, noisy, settings=RefineSettings(bend=0.0, stand=False)).motion
    assert smoothed.std is not None
    ratio = (smoothed.values - walk.values)[:, ANGLES] / smoothed.std[:, ANGLES]
    # By coordinate: toes snap up faster than jerk that is the same all the time, and their errors are larger
    by_coordinate = np.sqrt(np.mean(ratio**2, axis=0))
    assert 0.8 < np.median(by_coordinate) < 1.3
    assert by_coordinate.max() < 3


def test_couplers_are_obeyed_and_a_clean_motion_stays(walk: Motion) -> None:
    found = refine_motion(SKELETON, walk).motion.values
    assert np.abs(found - SKELETON.couple(torch.as_tensor(found)).numpy()).max() < 1e-12
    assert np.abs(found - walk.values)[:, ANGLES].max() < np.radians(0.1)
    assert np.abs(found - walk.values).max() < 0.005


def test_derivatives_by_free_coordinates(walk: Motion) -> None:
    generator = np.random.default_rng(0)
    values = walk.values[:40, FREE]
    change = 1e-7 * np.cumsum(np.cumsum(generator.normal(size=values.shape), 0), 0)
    body = _Body.of(SKELETON, FREE, 1 / RATE, Journal())
    assert body is not None
    body = dataclasses.replace(body, backend="torch")
    held = (np.ones((39, len(body.spheres))), np.zeros(3))
    for made, tolerance in (
        # Patellae follow with a rate of their own, which is left out
        (lambda x: body.bend(x, np.ones(len(FREE))), 2e-3),
        (lambda x: body.stand(x, held, 1.0, 0.0), 1e-5),
    ):
        expected = (made(values + change).residual - made(values - change).residual) / 2
        found = made(values).forward(change)
        assert np.abs(expected - found).max() < tolerance * np.abs(expected).max()
        pull = generator.normal(size=found.shape)
        assert np.sum(pull * found) == pytest.approx(np.sum(made(values).backward(pull)[0] * change), rel=1e-9)


def test_turns_are_unwrapped(walk: Motion) -> None:
    values = walk.values.copy()
    column = SKELETON.coordinate("pelvis_rotation")
    values[:, column] = np.angle(np.exp(1j * (values[:, column] + 3.1)))
    found = refine_motion(
        SKELETON, spoiled(dataclasses.replace(walk, values=values)), settings=RefineSettings(0.0, False)
    )
    off = np.angle(np.exp(1j * (found.motion.values - values)[:, column]))
    assert np.abs(off).max() < np.radians(4)


def test_what_is_refused(walk: Motion) -> None:
    with pytest.raises(DataError, match="5 frames are too few to tell noise from motion"):
        refine_motion(SKELETON, walk.between(None, 4.5 / RATE))
    holes = walk.values.copy()
    holes[3, 7] = np.nan
    with pytest.raises(DataError, match="frame 3 is not a number"):
        refine_motion(SKELETON, dataclasses.replace(walk, values=holes))
    with pytest.raises(DataError, match="lacks pelvis_tilt"):
        refine_motion(SKELETON, Motion(walk.times, walk.values[:, 1:], walk.names[1:]))


@pytest.fixture(scope="module")
def poses() -> Poses:
    clean = smpl_walk(frames=60)
    rotations, _ = noisy_rotations(clean, White().draw(clean, 1, seed=3))
    return dataclasses.replace(clean, rotations=rotations[0])


def test_the_command_refines_poses(poses: Poses, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given, out = tmp_path / "walk.npz", tmp_path / "out"
    write_poses(given, poses)
    assert main(["refine", str(given), "--out", str(out)]) == 0
    assert "refined: " in capsys.readouterr().out
    refined, clean = read_poses(out / "poses.npz"), smpl_walk(frames=60)

    def error(x: Poses) -> float:
        between = x.rotations @ clean.rotations.swapaxes(-1, -2)
        return float(np.arccos(np.clip((np.trace(between, axis1=-2, axis2=-1) - 1) / 2, -1, 1)).mean())

    assert error(refined) < 0.55 * error(poses)
    assert refined.rate == pytest.approx(30.0) and refined.up == "y" and refined.mass == poses.mass
    summary = json.loads((out / "summary.json").read_text())
    assert summary["method"] == "mechanics" and summary["frames"] == 60
    assert summary["noise"]["std_rad_by_joint"]["spine2"] == pytest.approx([0.05] * 3, rel=0.4)
    assert set(REFINED.values()) == set(REFINE_RESULTS)


@pytest.mark.parametrize("method", ["smooth", "adam"])
def test_the_other_methods(poses: Poses, tmp_path: Path, method: str) -> None:
    write_poses(tmp_path / "walk.npz", poses)
    assert main(["refine", str(tmp_path / "walk.npz"), "--out", str(tmp_path / "out"), "--method", method]) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["mean_change_rad"] > 0.01


def test_the_command_refines_a_motion(walk: Motion, tmp_path: Path) -> None:
    model, motion, out = tmp_path / "m.osim", tmp_path / "walk.mot", tmp_path / "out"
    write_osim(model, SKELETON)
    write_motion(motion, spoiled(walk), SKELETON)
    assert main(["refine", str(motion), "--model", str(model), "--method", "smooth", "--out", str(out)]) == 0
    found = read_motion(out / "motion.mot", load_skeleton(model))
    assert np.abs(found.values - walk.values)[:, ANGLES].mean() < np.radians(0.8)
    assert (out / "kinematics_std.sto").exists()


def test_wrong_inputs_get_one_line(
    poses: Poses, walk: Motion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    npz, motion, out = tmp_path / "walk.npz", tmp_path / "walk.mot", tmp_path / "out"
    write_poses(npz, poses)
    write_motion(motion, walk, SKELETON)
    write_poses(tmp_path / "short.npz", poses.frames(slice(0, 4)))
    holes = poses.rotations.copy()
    holes[10, 2] = np.nan
    write_poses(tmp_path / "holes.npz", dataclasses.replace(poses, rotations=holes))
    model = tmp_path / "m.osim"
    write_osim(model, SKELETON)
    for arguments, text in (
        ([str(motion)], "a motion needs its model"),
        ([str(motion), "--model", str(model), "--mass", "70"], "--mass: goes with poses"),
        ([str(motion), "--model", str(model), "--method", "adam"], "is the paper's way for poses"),
        ([str(npz), "--model", str(model)], "with an OpenSim model (m.osim) refine takes a .mot"),
        ([str(tmp_path / "short.npz")], "4 frames are too few"),
        ([str(tmp_path / "holes.npz")], "right_hip is not known in frame 10"),
    ):
        assert main(["refine", *arguments, "--out", str(out)]) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert len(said) == 1 and text in said[0], said
        assert not out.exists()
