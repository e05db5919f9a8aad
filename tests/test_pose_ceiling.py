"""The low-pass over smoothing: what is misread as movement does not pass, and error bars know what it took."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.fitting.load_poses import load_poses
from motorque.fitting.pose_ceiling import CEILING, under_ceiling
from motorque.fitting.pose_smoothing import SmoothedPoses, smooth_poses
from motorque.journal import Journal
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.series import Motion, Poses
from motorque.series.poses import matrices
from motorque.skeleton.smpl import smpl, smpl_positions
from motorque.skeleton.smpl_names import with_anatomical_names
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.smpl_bands import bands_of_poses
from motorque.workflows.torque_rates import moving
from motorque.workflows.torques import coordinates_of, ground_contact, in_smpls_world, person_of

WITHIN = 1.6449
SKELETON = with_anatomical_names(smpl(mass=75.0, height=1.7, sex="unknown", rotations="axis-angle"))


@pytest.fixture(scope="module")
def walk() -> Poses:
    return smpl_walk(frames=120)


def noisy(walk: Poses, size: float, place: float, seed: int) -> Poses:
    rng = np.random.default_rng(seed)
    frames = len(walk.times)
    return dataclasses.replace(
        walk,
        rotations=walk.rotations @ matrices(size * rng.normal(size=(frames, 24, 3))),
        translation=walk.translation + place * rng.normal(size=(frames, 3)),
    )


def torques_of(poses: Poses) -> np.ndarray:
    layer = SMPLDynamics(fps=poses.rate, mass=75.0, height=1.7)
    found = layer.rates(torch.as_tensor(poses.rotations), torch.as_tensor(poses.translation), poses.rate)
    return np.asarray(layer.from_rates(found).tau.numpy())


def motion_of(poses: Poses) -> Motion:
    q = smpl_positions(torch.as_tensor(poses.rotation_vectors), torch.as_tensor(poses.translation))
    return Motion(poses.times, q.numpy(), SKELETON.coordinate_names)


def bands_of(given: SmoothedPoses, method: str) -> Bands:
    return bands_of_poses(
        SKELETON, given, motion=motion_of(given.poses), torques=torques_of(given.poses), loads=None, estimated=False,
        same=True, method=method,  # type: ignore[arg-type]
    )  # fmt: skip


def test_hardly_anything_passes_the_ceiling(walk: Poses) -> None:
    """Of poses with little noise, which smoothing leaves nearly as they are."""
    smoothed = smooth_poses(noisy(walk, 0.002, 0.001, 0))
    under = under_ceiling(smoothed, 4.0)
    assert under.ceiling == 4.0 and under.higher is not None

    def high(x: np.ndarray) -> float:
        power = np.abs(np.fft.rfft((x - np.linspace(x[0], x[-1], len(x))) * np.hanning(len(x))[:, None], axis=0)) ** 2
        return float(power[np.fft.rfftfreq(len(x), 1 / 30) > 10].sum())

    # A fourth-order filter: (4/10)^4 of the amplitude at 10 Hz, 0.066 % of the power, and less beyond
    assert high(under.poses.translation) < 1e-3 * high(smoothed.poses.translation)


def test_a_ceiling_needs_a_frame_rate(walk: Poses) -> None:
    slow = dataclasses.replace(walk, times=walk.times * (walk.rate / 10.0))
    smoothed = smooth_poses(slow)
    assert under_ceiling(smoothed) is smoothed  # 10 frames a second have no 6 Hz
    with pytest.raises(DataError, match="a cutoff of 6 Hz is not below half the frame rate of 10 Hz"):
        under_ceiling(smoothed, 6.0)


def test_the_ceiling_is_said_and_set(walk: Poses) -> None:
    found = moving(walk, None, None, Journal())
    assert found.way == "auto" and found.cutoff == CEILING and "low-pass filter of 6 Hz" in found.reason
    found = moving(walk, "auto", 3.0, Journal())
    assert found.way == "auto" and found.cutoff == 3.0 and "low-pass filter of 3 Hz" in found.reason


def test_noise_does_no_more_harm_than_without_a_ceiling(walk: Poses) -> None:
    truth, errors = torques_of(walk), []
    for seed in range(2):
        smoothed = smooth_poses(noisy(walk, 0.03, 0.003, seed))
        errors.append([np.abs(torques_of(x.poses) - truth).mean() for x in (smoothed, under_ceiling(smoothed))])
    without, under = np.mean(errors, axis=0)
    assert under < without


@pytest.mark.parametrize("size", [0.03, 0.05])
def test_bands_hold_noise_that_they_are_not_told(walk: Poses, size: float) -> None:
    """As without the ceiling, with smaller errors; the walk's heel strikes are above it."""
    truth, held = torques_of(walk), []
    for seed in range(3):
        given = under_ceiling(smooth_poses(noisy(walk, size, 0.003, seed)))
        held.append(np.abs(torques_of(given.poses) - truth) < WITHIN * bands_of(given, "linear").torques)
    assert 0.8 < np.mean(held) < 0.95


def test_both_ways_to_bands_agree(walk: Poses) -> None:
    given = under_ceiling(smooth_poses(noisy(walk, 0.03, 0.003, 0)))
    drawn, linear = bands_of(given, "monte carlo"), bands_of(given, "linear")
    np.testing.assert_allclose(np.median(drawn.torques / linear.torques), 1.0, atol=0.03)
    np.testing.assert_allclose(np.sqrt(sum(x["torques"] ** 2 for x in linear.by_source.values())),
                               np.sqrt((linear.torques**2).mean(0)), rtol=1e-9)  # fmt: skip
    assert "6 Hz" in linear.included["smoothing"]


@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_real_walk_has_forces_of_a_walk(data: Path, every: int) -> None:
    """CMU's 35_01 at 120, 60 and 30 Hz: without the ceiling 2 to 2537 N and 401 N from frame to frame at 120 Hz."""
    folder = data / "cmu" / "asfamc" / "35"
    poses = load_poses(folder / "35_01.amc", skeleton=folder / "35.asf", mass=75.0, journal=Journal())
    poses = in_smpls_world(poses.frames(slice(0, None, every)))
    changes = []
    for way in (None, "butterworth"):
        moved = moving(poses, way, None, Journal())
        _, skeleton = person_of(poses, "estimated", Journal())
        motion = Motion(poses.times, coordinates_of(moved.poses), skeleton.coordinate_names)
        loads = ground_contact(skeleton, motion, moved.raw, Journal())
        assert loads is not None
        vertical = np.sum([load.force[:, 1] for load in loads.loads], axis=0)
        assert 0.4 * 735 < vertical.min() and vertical.max() < 1.7 * 735
        changes.append(np.sqrt(np.mean(np.diff(vertical) ** 2)))
    assert changes[0] < 1.05 * changes[1]
