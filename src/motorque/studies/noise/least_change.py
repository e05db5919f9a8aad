"""How little poses must be moved for torques to be right: whether a refinement can leave the noise in the pose.

To first order white noise n in rotation vectors makes a torque error of g(f) M n at the frequency f: g is what the
differences make of an oscillation, M the mass matrix of the angles. Both are far from even: heavy segments and high
frequencies carry nearly all of the torque error, and little of the pose error lies there. Of all changes of the pose
that lower the torque error by a given share the smallest one shrinks each component of n, at each frequency and along
each singular vector of M with its singular value s, by

    w = λ g² s² / (1 + λ g² s²),

and λ follows from the share. What is left of the pose error then bounds what a refinement that knows the clean torques,
and nothing else, needs to take away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq

from motorque.mechanics.dynamics import mass_matrix
from motorque.skeleton.smpl import smpl_positions
from motorque.studies.noise import paper
from motorque.studies.noise.protocol import Chain
from motorque.studies.tables import Table

Array = NDArray[np.float64]

SHARES = (0.5, 0.9, 0.922, 0.99)


@dataclass(frozen=True)
class LeastChange:
    """The least change of noisy poses for a share of the torque error.

    Args:
        subject: Whose motion.
        stencil: With which differences.
        torque: By how much the torque error falls, in root mean square [%].
        pose: By how much the pose error then falls [%].
        moved: How far poses are moved, over the noise's own size [%].
    """

    subject: str
    stencil: str
    torque: float
    pose: float
    moved: float


def least_change(chain: Chain, stencil: str, shares: tuple[float, ...] = SHARES) -> list[LeastChange]:
    """The least changes for shares of the torque error, at the pose in the middle of the motion."""
    poses, skeleton = chain.subject.poses, chain.layer.skeleton()
    middle = len(poses.times) // 2
    q = smpl_positions(torch.tensor(poses.rotations[middle]), torch.tensor(poses.translation[middle]))
    whole = mass_matrix(skeleton, q).numpy()
    angles = np.r_[0:3, 6 : len(whole)]
    singular = np.linalg.svd(whole[np.ix_(angles, angles)], compute_uv=False)
    x = np.pi * (np.arange(len(poses.times)) + 0.5) / len(poses.times)  # 2π f h from none to half the frame rate
    gain = 4 * np.sin(x / 2) ** 2 if stencil == "central" else np.sin(x) ** 2
    energy = np.square(gain[:, None] * singular).ravel()
    energy = energy / energy.mean()

    def kept(log_weight: float) -> Array:
        return np.asarray(1 / (1 + np.exp(log_weight) * energy))

    found = []
    for share in shares:
        off = float(np.log(1 - share))
        weight = brentq(lambda u, off=off: 0.5 * np.log((energy * kept(u) ** 2).mean()) - off, -30.0, 60.0)
        left = kept(weight)
        pose, moved = 1 - np.sqrt((left**2).mean()), np.sqrt(((1 - left) ** 2).mean())
        found.append(LeastChange(chain.subject.name, stencil, 100 * share, 100 * float(pose), 100 * float(moved)))
    return found


def least_change_table(results: list[LeastChange]) -> Table:
    """What a refinement must at least take away from the pose."""
    table = Table(
        "least_change",
        "The least that poses must be moved for a share of the torque error",
        ("motion", "stencil", "torque error falls by [%]", "pose error falls by [%]", "poses move by [% of the noise]"),
        notes=(
            f"The paper: {100 * (1 - paper.REFINED / paper.NOISY):.1f} % and "
            f"{100 * (1 - paper.REFINED_POSE / paper.NOISY_POSE):.2f} %. To first order, in root mean square, for "
            "white noise; a method that does not know the clean torques takes more.",
        ),
    )
    for r in results:
        table.add(r.subject, r.stencil, r.torque, r.pose, r.moved)
    return table
