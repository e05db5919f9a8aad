"""Error bars behind SMPL poses: they hold noise that nobody told them, both ways agree, and loads follow the motion."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.pose_smoothing import SmoothedPoses, smooth_poses
from motorque.journal import Journal
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.series import Load, Loads, Motion, Poses
from motorque.series.poses import matrices
from motorque.signals.adaptive import adaptive_fit
from motorque.skeleton.smpl import smpl, smpl_positions
from motorque.skeleton.smpl_names import with_anatomical_names
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.uncertainty.bands import Bands
from motorque.uncertainty.level_belief import belief
from motorque.uncertainty.pose_chain import PoseChain
from motorque.uncertainty.pose_posterior import PosePosterior
from motorque.uncertainty.smpl_bands import bands_of_poses

WITHIN = 1.6449
SKELETON = with_anatomical_names(smpl(mass=75.0, height=1.7, sex="unknown", rotations="axis-angle"))


@pytest.fixture(scope="module")
def walk() -> Poses:
    return smpl_walk(frames=120)


def noisy(walk: Poses, size: float, seed: int) -> Poses:
    rng = np.random.default_rng(seed)
    turns = matrices(size * rng.normal(size=(len(walk.times), 24, 3)))
    return dataclasses.replace(
        walk,
        rotations=walk.rotations @ turns,
        translation=walk.translation + 0.1 * size * rng.normal(size=(len(walk.times), 3)),
    )


@pytest.fixture(scope="module")
def smoothed(walk: Poses) -> SmoothedPoses:
    return smooth_poses(noisy(walk, 0.03, 0))


def motion_of(poses: Poses) -> Motion:
    q = smpl_positions(torch.as_tensor(poses.rotation_vectors), torch.as_tensor(poses.translation))
    return Motion(poses.times, q.numpy(), SKELETON.coordinate_names)


def torques_of(poses: Poses, rates: str = "central") -> np.ndarray:
    layer = SMPLDynamics(fps=poses.rate, mass=75.0, height=1.7, rates=rates)
    found = layer.rates(torch.as_tensor(poses.rotations), torch.as_tensor(poses.translation), poses.rate)
    return np.asarray(layer.from_rates(found).tau.numpy())


def bands_of(given: SmoothedPoses, **options: object) -> Bands:
    torques = torques_of(given.poses)
    return bands_of_poses(
        SKELETON, given, motion=motion_of(given.poses), torques=torques, loads=None, estimated=False, same=True,
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def standing_loads(poses: Poses) -> Loads:
    """Half the weight under each foot, for no other reason than that something has to be there."""
    frames = len(poses.times)
    force = np.tile([0.0, 75.0 * 9.80665 / 2, 0.0], (frames, 1))
    point, moment = np.zeros((frames, 3)), np.zeros((frames, 3))
    return Loads(poses.times, tuple(Load(f"ground_force_{s}", f"calcn_{s}", force, point, moment) for s in "rl"))


def test_the_reference_is_the_layer_itself(smoothed: SmoothedPoses) -> None:
    """What draws are compared with is what `torques` reports for the smoothed poses, but for the end frames' rates."""
    chain = PoseChain.of(SKELETON, PosePosterior.of(smoothed), None, estimated=False)
    plain = chain.forces(np.zeros((1, 120, 75), dtype=np.float32))[0]
    torques = torques_of(smoothed.poses)
    # Single precision, differentiated twice: a place 5 m off is known to 0.5 µm, 0.04 N of 75 kg at 30 Hz
    np.testing.assert_allclose(plain[1:-1, 3:6], torques[1:-1, 3:6], atol=0.1)
    np.testing.assert_allclose(np.delete(plain, [3, 4, 5], 1)[1:-1], np.delete(torques, [3, 4, 5], 1)[1:-1], atol=1e-2)
    # At the ends the chain leaves out that rotation vectors' charts bend over a frame
    np.testing.assert_allclose(plain[[0, -1]], torques[[0, -1]], atol=5.0)


def test_linear_derivatives_are_those_of_the_chain(smoothed: SmoothedPoses) -> None:
    """A small smooth change of everything, through the chain and by its derivatives."""
    loads = standing_loads(smoothed.poses)
    chain = PoseChain.of(SKELETON, PosePosterior.of(smoothed), loads, estimated=True)
    rng = np.random.default_rng(1)
    times = smoothed.poses.times[:, None]
    change = 2e-3 * np.sin(2 * np.pi * rng.uniform(0.5, 2, 75) * times + rng.uniform(0, 6, 75))
    plain = chain.forces(np.zeros((1, 120, 75), dtype=np.float32))[0]
    felt = chain.changes(change[None].astype(np.float32), plain)[..., 0]
    h = chain.step
    rate, bend = (change[2:] - change[:-2]) / (2 * h), (change[2:] - 2 * change[1:-1] + change[:-2]) / h**2
    gains = np.concatenate(chain.linear(slice(1, 119)), axis=2)
    linear = sum(np.einsum("trc,tc->tr", g, x) for g, x in zip(gains, (change[1:-1], rate, bend), strict=True))
    size = np.abs(felt[1:-1]).max(0) + 1e-3
    # Differences over h² of the chart's slowly changing Jacobian, and squares of 2 mrad
    assert np.median(np.abs(felt[1:-1] - linear) / size) < 0.01
    assert (np.abs(felt[1:-1] - linear) / size).max() < 0.15


def test_loads_that_follow_leave_the_root_alone(smoothed: SmoothedPoses) -> None:
    loads = standing_loads(smoothed.poses)
    chain = PoseChain.of(SKELETON, PosePosterior.of(smoothed), loads, estimated=True)
    rng = np.random.default_rng(2)
    plain = chain.forces(np.zeros((1, 120, 75), dtype=np.float32))[0]
    change = chain.changes(chain.posterior.drawn(rng, 3), plain)
    assert np.abs(change[:, :6]).max() < 1e-2
    # Both feet together take up what the root lost
    free = PoseChain.of(SKELETON, chain.posterior, loads, estimated=False)
    root = free.changes(chain.posterior.drawn(np.random.default_rng(2), 3), plain)[:, 3:6]
    world = SKELETON.parent_rotation[0].numpy()
    force = np.einsum("ji,tjd->tid", world, change[:, 75:78] + change[:, 81:84])
    np.testing.assert_allclose(force, root, atol=1e-2 * np.abs(root).max())


def test_draws_and_propagation_agree(smoothed: SmoothedPoses) -> None:
    drawn, linear = bands_of(smoothed), bands_of(smoothed, method="linear")
    assert drawn.draws == 500 and drawn.method == "monte carlo" and linear.draws == 0
    np.testing.assert_allclose(np.median(drawn.torques / linear.torques), 1.0, atol=0.03)
    assert 0.8 < np.quantile(drawn.torques / linear.torques, 0.01)
    np.testing.assert_array_equal(drawn.angles, linear.angles)
    np.testing.assert_array_equal(drawn.torques, bands_of(smoothed).torques)  # the same seed
    assert set(drawn.by_source) == {"pose noise", "smoothing"} == set(drawn.included) and drawn.excluded
    both = sum(x["torques"] ** 2 for x in linear.by_source.values())
    np.testing.assert_allclose(np.sqrt(both), np.sqrt((linear.torques**2).mean(0)), rtol=1e-9)


def test_the_spread_of_draws_is_the_one_said(smoothed: SmoothedPoses) -> None:
    posterior = PosePosterior.of(smoothed)
    drawn = posterior.drawn(np.random.default_rng(0), 400).reshape(400, 120, 25, 3)
    wanted = sum(posterior.covariances())
    np.testing.assert_allclose(
        np.einsum("dtja,dtjb->tjab", drawn, drawn).mean(0) / 400, np.asarray(wanted).mean(0), atol=0.1 * wanted.max()
    )


@pytest.mark.parametrize("size", [0.03, 0.05])
def test_bands_hold_noise_that_they_are_not_told(walk: Poses, size: float) -> None:
    """Truth: the clean walk's torques and angles. Aim: 85 to 95 %; the ends are in."""
    truth, angles = torques_of(walk), motion_of(walk).values
    torque, angle = [], []
    for seed in range(4):
        given = smooth_poses(noisy(walk, size, seed))
        bands = bands_of(given, method="linear")
        torque.append(np.abs(torques_of(given.poses) - truth) < WITHIN * bands.torques)
        angle.append(np.abs(motion_of(given.poses).values - angles) < WITHIN * bands.angles)
    assert 0.85 < np.mean(torque) < 0.95
    assert 0.85 < np.mean(angle) < 0.95


def test_another_way_to_rates_has_its_own_error_in_the_band(walk: Poses) -> None:
    """Plain differences of noisy poses are far off, and say so."""
    poses = noisy(walk, 0.05, 1)
    given = smooth_poses(poses)
    torques = torques_of(poses)
    bands = bands_of_poses(
        SKELETON, given, motion=motion_of(poses), torques=torques, loads=None, estimated=False, same=False,
        method="linear",
    )  # fmt: skip
    assert "chosen filter" in bands.included
    assert np.median(bands.torques) > 5 * np.median(bands_of(given).torques)
    held = np.abs(torques - torques_of(walk)) < WITHIN * bands.torques
    assert 0.8 < held.mean() < 0.98


def test_missing_frames_have_no_error_bars(smoothed: SmoothedPoses) -> None:
    torques = torques_of(smoothed.poses)
    torques[40:43] = np.nan
    bands = bands_of_poses(
        SKELETON, smoothed, motion=motion_of(smoothed.poses), torques=torques, loads=standing_loads(smoothed.poses),
        estimated=True, same=True, draws=20,
    )  # fmt: skip
    lost = np.isnan(bands.angles).any(axis=1)
    assert lost.sum() == 3 and lost[40:43].all()
    assert np.isnan(bands.loads["ground_force_r"].force).any(axis=1).sum() == 3
    assert np.isnan(bands.torques[:, :6]).all() and np.isfinite(bands.torques[~lost, 6:]).all()


def test_sharing_is_in_the_band_where_contact_was_found(walk: Poses) -> None:
    """Ground forces of each foot: the truth's are those of the clean walk by the same way."""
    truth = estimate_ground_loads(SKELETON, motion_of(walk), cutoff=None, journal=Journal())
    given = smooth_poses(noisy(walk, 0.03, 2))
    motion, torques = motion_of(given.poses), torques_of(given.poses)
    loads = estimate_ground_loads(SKELETON, motion, cutoff=None, journal=Journal())
    bands = bands_of_poses(
        SKELETON, given, motion=motion, torques=torques, loads=loads, estimated=True, same=True, method="linear"
    )
    assert "sharing between the feet" in bands.included and "sharing between the feet" not in bands.excluded
    held = []
    for one, other in zip(loads.loads, truth.loads, strict=True):
        on = one.force[:, 1] > 20
        held.append((np.abs(one.force - other.force) < WITHIN * bands.loads[one.name].force)[on])
    assert 0.85 < np.concatenate(held).mean() <= 1.0


def test_belief_never_falls_below_what_is_left_of_noise() -> None:
    rng = np.random.default_rng(0)
    values = np.cumsum(np.cumsum(rng.normal(size=(100, 6)), axis=0), axis=0) + 5 * rng.normal(size=(100, 6))
    fit = adaptive_fit(values, block=3)
    found = belief(fit, values, order=3)
    assert (found.noise >= 0).all() and (found.motion >= 0).all()
    # Levels that are left open make errors larger on the whole, not smaller
    assert found.variance.sum() > 0.9 * (fit.spread**2).sum()


def test_refined_poses_have_no_posterior(smoothed: SmoothedPoses) -> None:
    with pytest.raises(ValueError, match="without the fits"):
        PosePosterior.of(dataclasses.replace(smoothed, chart=None, windows=()))
