"""Error bars of torques behind SMPL poses: the poses' own noise, and what becomes of it in the torques.

The noise of each joint is told from its sixth differences in time, in which a movement hardly shows and white noise is
924 times as strong: of rotation vectors against the frame itself, so that no chart's corners matter. Then poses with as
much noise again go through the whole chain, smoothing included, many times; the spread of the torques is the error bar.

What is in the band is noise from frame to frame. What is not: errors that last (a joint that is always bent too much, a
depth that drifts), what smoothing takes from the movement itself, masses and joint centres, and contact.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.spatial.transform import Rotation

from motorque.mechanics.arguments import Wrench
from motorque.mechanics.smpl_dynamics import SMPLDynamics
from motorque.series.poses import Poses, matrices

Array = NDArray[np.float64]

ORDER = 6
"""Of the differences. Movement at 6 Hz, sampled at 30 Hz, passes 2.6-fold, white noise 30-fold."""

WEIGHTS = np.array([(-1.0) ** k * math.comb(ORDER, k) for k in range(ORDER + 1)])
MEDIAN_OF_SQUARE = 0.4549364
"""Median of the square of a normal variable of variance 1."""

FEWEST = 4 * ORDER
"""Frames under which noise is not told from movement."""

DRAWS = (12, 60)
"""Fewest and most draws; in between as many as :data:`FRAMES` allow."""

FRAMES = 12_000
"""Frames that go through the chain, all draws together; a second or two."""

BATCH = 4_000
"""Frames at once."""

NEARBY = 0.2
"""Width over which a band's variance is averaged in time [s], so that few draws give a smooth band."""


@dataclass(frozen=True, eq=False)
class PoseNoise:
    """White noise of poses.

    Args:
        rotation: Standard deviation of each joint's rotation vector about each axis [rad], shape [24].
        translation: Standard deviation of the root's place along each axis [m], shape [3].
    """

    rotation: Array
    translation: Array


@dataclass(frozen=True, eq=False)
class TorqueBands:
    """Standard deviations, NaN where torques are.

    Args:
        tau: Of generalized forces [N·m, N], shape [T, 75].
        torques: Of torques in the layer's axes [N·m], shape [T, 24, 3].
        draws: How many draws there were.
    """

    tau: Array
    torques: Array
    draws: int


def estimate_pose_noise(poses: Poses) -> PoseNoise | None:
    """The noise from frame to frame of a recording; None where too few frames follow each other."""
    known = poses.known
    windows = np.lib.stride_tricks.sliding_window_view(known, ORDER + 1).all(axis=-1)
    starts = np.flatnonzero(windows)
    if len(starts) < FEWEST - ORDER:
        return None
    total = np.zeros((len(starts), poses.rotations.shape[1], 3))
    middle = poses.rotations[starts + ORDER // 2]
    for k, weight in enumerate(WEIGHTS):
        if k == ORDER // 2:
            continue
        relative = middle.swapaxes(-1, -2) @ poses.rotations[starts + k]
        turn = Rotation.from_matrix(relative.reshape(-1, 3, 3)).as_rotvec().reshape(total.shape)
        total += weight * turn
    moved = sum(weight * poses.translation[starts + k] for k, weight in enumerate(WEIGHTS))
    power = float((WEIGHTS**2).sum())
    rotation = np.sqrt(np.median(total**2, axis=0).mean(axis=-1) / MEDIAN_OF_SQUARE / power)
    translation = np.sqrt(np.median(np.asarray(moved) ** 2, axis=0) / MEDIAN_OF_SQUARE / power)
    return PoseNoise(rotation, translation)


def torque_bands(
    layer: SMPLDynamics,
    poses: Poses,
    noise: PoseNoise,
    *,
    loads: Mapping[str, Wrench] | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> TorqueBands:
    """What the noise of poses becomes in the torques, by drawing it again.

    Args:
        layer: Poses to torques.
        poses: The recording, with its noise.
        noise: How much there is.
        loads: External loads as :class:`SMPLDynamics` takes them; the same in all draws.
        draws: How many; chosen for a second or two of computing if None.
        seed: Of the random numbers.
    """
    frames = len(poses.times)
    count = int(np.clip(FRAMES // frames, *DRAWS)) if draws is None else draws
    rng = np.random.default_rng(seed)
    mean = square = torch.zeros(())
    mean_world = square_world = torch.zeros(())
    clean = layer.from_rates(
        layer.rates(torch.as_tensor(poses.rotations), torch.as_tensor(poses.translation), poses.rate), loads
    )
    for first in range(0, count, max(1, BATCH // frames)):
        size = (min(max(1, BATCH // frames), count - first), frames)
        turns = rng.normal(size=(*size, *poses.rotations.shape[1:2], 3)) * noise.rotation[:, None]
        rotations = torch.as_tensor(poses.rotations @ matrices(turns))
        places = torch.as_tensor(poses.translation + rng.normal(size=(*size, 3)) * noise.translation)
        shared = (
            None
            if loads is None
            else {name: (f.expand(*size, 3), m.expand(*size, 3)) for name, (f, m) in loads.items()}
        )
        out = layer.from_rates(layer.rates(rotations, places, poses.rate), shared)
        gap, gap_world = out.motion.masked(out.tau) - clean.tau, out.torques - clean.torques
        mean, square = mean + gap.sum(0), square + (gap**2).sum(0)
        mean_world, square_world = mean_world + gap_world.sum(0), square_world + (gap_world**2).sum(0)

    def spread(first: torch.Tensor, second: torch.Tensor) -> Array:
        variance = ((second - first**2 / count) / max(1, count - 1)).clamp(min=0).detach().numpy()
        return _steady(variance, max(1, round(NEARBY * poses.rate)))

    return TorqueBands(spread(mean, square), spread(mean_world, square_world), count)


def _steady(variance: Array, width: int) -> Array:
    """Roots of variances averaged over nearby frames; NaN stays where it is and spreads nowhere."""
    there = np.isfinite(variance)
    filled = np.where(there, variance, 0.0)
    weight = uniform_filter1d(there.astype(np.float64), width, axis=0, mode="nearest")
    summed = uniform_filter1d(filled, width, axis=0, mode="nearest")
    return np.asarray(np.where(there, np.sqrt(np.maximum(summed, 0.0) / np.maximum(weight, 1e-12)), np.nan))
