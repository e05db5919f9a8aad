"""What errors of poses do to ground forces beyond their sum: which foot has how much, where, and when it touches.

`following_loads` passes on what noise does to the forces on the root and leaves the sharing as it was found. How it
changes has no derivative worth the name (feet touch or they don't), so contact is found again in some draws of the
poses; what these loads differ by from those that follow is the sharing's.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from motorque.errors import DataError, ModelError
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.pose_chart import vectors_of
from motorque.journal import Journal
from motorque.series import Load, Loads, Motion
from motorque.signals.rotation_vectors import without_leaps
from motorque.skeleton.skeleton import Skeleton
from motorque.skeleton.smpl import smpl_positions
from motorque.uncertainty.pose_chain import PoseChain

Array = NDArray[np.float64]

SHARINGS = 16
"""Draws in which contact is found again: standard deviations to 18 % each, averaged over :data:`NEARBY`."""

MOST_FRAMES = 3000
"""Frames up to which this is done: it takes a tenth of a second a draw for every 300."""

NEARBY = 0.2
"""Width over which variances of so few draws are averaged in time [s]."""


def sharing_variances(
    chain: PoseChain, skeleton: Skeleton, loads: Loads, *, seed: int
) -> tuple[Array, tuple[Array, ...]] | None:
    """Variance by sharing of generalized forces [T, nv] and covariance of each load's wrench, [T, 6, 6].

    Args:
        chain: The chain, whose loads follow the motion.
        skeleton: SMPL's tree with rotation vectors for positions.
        loads: The loads that were found.
        seed: Of the draws.

    Returns:
        None where loads do not follow, the recording is long, or contact is hardly ever found again.
    """
    poses, nv = chain.posterior.poses, int(chain.skeleton.nv)
    frames = len(poses.times)
    if chain.following is None or frames > MOST_FRAMES:
        return None
    moved = chain.posterior.drawn(np.random.default_rng([seed, 1]), SHARINGS)
    plain = chain.forces(np.zeros((1, frames, 75), dtype=np.float32))[0]
    followed = chain.changes(moved, plain)[:, nv:]
    own = np.stack([_wrench(load) for load in loads.loads])
    gaps = []
    for number, change in enumerate(moved):
        rotations = chain.posterior.chart.rotations(
            chain.posterior.vectors + chain.posterior.chart.offset + change[:, :72].reshape(frames, -1, 3)
        )
        q = smpl_positions(
            torch.as_tensor(without_leaps(vectors_of(rotations))), torch.as_tensor(poses.translation + change[:, 72:])
        )
        motion = Motion(poses.times, q.numpy(), skeleton.coordinate_names)
        try:
            again = estimate_ground_loads(skeleton, motion, cutoff=None, journal=Journal())
        except (DataError, ModelError):
            continue
        there = np.stack([_wrench(next(x for x in again.loads if x.name == load.name)) for load in loads.loads])
        gaps.append(there - own - followed[:, :, number].reshape(frames, -1, 6).transpose(1, 0, 2))
    if len(gaps) < SHARINGS // 2:
        return None
    gap = np.stack(gaps)
    felt = sum(
        np.einsum("tvc,dtc->dtv", chain.load_gain[load.body], gap[:, n], optimize=True)
        for n, load in enumerate(loads.loads)
    )
    width = max(1, round(NEARBY * poses.rate))
    torques = uniform_filter1d((np.asarray(felt) ** 2).mean(0), width, axis=0, mode="nearest")
    covariances = np.einsum("dltc,dlte->ltce", gap, gap, optimize=True) / len(gap)
    return torques, tuple(uniform_filter1d(covariances, width, axis=1, mode="nearest"))


def _wrench(load: Load) -> Array:
    return np.concatenate([load.force, load.moment_about_origin], axis=1)
