"""4.2: noise on one joint at a time, all 24, against how much hangs on each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, smpl_positions
from motorque.studies.noise import paper
from motorque.studies.noise.models import PoseNoise, White
from motorque.studies.noise.protocol import NORMS, Chain, TorqueErrors, torque_errors
from motorque.studies.statistics import Interval, interval
from motorque.studies.tables import Table

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PerJoint:
    """Torque errors of noise on single joints.

    Args:
        subject: Whose motion.
        stencil: With which differences.
        errors: Each norm [N·m], shape [24, S].
        mass: Of all that hangs on each joint [kg], shape [24].
        inertia: Second moment of that about the joint, mean over the motion [kg·m²], shape [24].
    """

    subject: str
    stencil: str
    errors: TorqueErrors
    mass: Array
    inertia: Array

    def ordering(self, of: Array, norm: str = "joint") -> Interval:
        """Spearman's rank correlation of the errors with something that joints have, draw by draw."""
        ranks = rankdata(getattr(self.errors, norm), axis=0) - 12.5
        others = rankdata(of) - 12.5
        return interval((ranks * others[:, None]).sum(0) / np.sqrt((ranks**2).sum(0) * (others**2).sum()))

    def ratio(self, one: tuple[str, ...], other: tuple[str, ...], norm: str = "joint") -> Interval:
        """Mean error of some joints over that of others, draw by draw."""
        values = getattr(self.errors, norm)
        rows = [values[[SMPL_JOINTS.index(n) for n in names]].mean(0) for names in (one, other)]
        return interval(rows[0] / rows[1])


def per_joint(chain: Chain, stencil: str, draws: int, *, seed: int = 0, sigma: float = paper.SIGMA) -> PerJoint:
    """Torque errors of white noise on every joint alone, each with its own part of the same random numbers."""
    unit = White(sigma).draw(chain.subject.poses, draws, seed=seed).rotation
    found = []
    for joint in range(len(SMPL_JOINTS)):
        only = np.zeros((len(SMPL_JOINTS), 1))
        only[joint] = 1.0
        found.append(torque_errors(chain.error(PoseNoise(unit * only, np.zeros((1, 1, 3))))))
    errors = TorqueErrors(*(np.stack(x) for x in zip(*found, strict=True)))
    return PerJoint(chain.subject.name, stencil, errors, *_hanging(chain))


def _hanging(chain: Chain) -> tuple[Array, Array]:
    """Mass and second moment of what hangs on each joint, itself included; each of shape [24]."""
    skeleton, poses = chain.layer.skeleton(), chain.subject.poses
    q = smpl_positions(torch.from_numpy(poses.rotations), torch.from_numpy(poses.translation))
    bodies = forward_kinematics(skeleton, q)
    place = bodies.position.numpy()
    centers = place + (bodies.rotation @ skeleton.mass_center[..., None])[..., 0].numpy()
    below = np.eye(len(SMPL_JOINTS), dtype=bool)
    for joint in reversed(range(1, len(SMPL_JOINTS))):
        below[SMPL_PARENTS[joint]] |= below[joint]
    mass = skeleton.mass.numpy()
    own = 0.5 * torch.diagonal(skeleton.inertia, dim1=-2, dim2=-1).sum(-1).numpy()
    squares = np.square(centers[:, None] - place[:, :, None]).sum(-1).mean(0)
    return below @ mass, (below * (mass * squares + own)).sum(1)


def joint_table(results: list[PerJoint]) -> Table:
    """Figure 2 (b) as numbers."""
    table = Table(
        "fig2b_per_joint",
        f"Torque error of white noise of {paper.SIGMA:g} rad on one joint at a time",
        (
            "motion", "stencil", "joint", "mass that hangs on it [kg]", "its second moment [kg·m²]",
            *(f"{norm} [N·m]" for norm in NORMS), "the paper's [N·m]", "over the paper's",
        ),
    )  # fmt: skip
    for r in results:
        for i in np.argsort(-r.errors.joint.mean(1)):
            name, values = SMPL_JOINTS[i], [interval(getattr(r.errors, norm)[i]) for norm in NORMS]
            theirs = paper.ONE_JOINT.get(name)
            table.add(
                r.subject, r.stencil, name, float(r.mass[i]), float(r.inertia[i]), *values, theirs,
                None if theirs is None else values[0].mean / theirs,
            )  # fmt: skip
    return table


def ordering_table(results: list[PerJoint]) -> Table:
    """Whether the order of the errors is that of what hangs on the joints."""
    table = Table(
        "fig2b_ordering",
        "Rank correlation of a joint's error with what hangs on it, and errors of joints near the trunk over those far "
        "from it",
        (
            "motion", "stencil", "rank correlation with mass", "with second moment", "spine1 over hip",
            "the paper's", "spine1 over knee", "spine over distal joints", "the paper's, at least",
        ),
        notes=(f"Distal joints: {', '.join(paper.DISTAL_JOINTS)}.",),
    )  # fmt: skip
    spine, hips = ("spine1", "spine2", "spine3"), ("left_hip", "right_hip")
    theirs = paper.ONE_JOINT
    for r in results:
        table.add(
            r.subject, r.stencil, r.ordering(r.mass), r.ordering(r.inertia), r.ratio(("spine1",), hips),
            theirs["spine1"] / theirs["left_hip"], r.ratio(("spine1",), ("left_knee", "right_knee")),
            r.ratio(spine, paper.DISTAL_JOINTS), sum(theirs[n] for n in spine) / 3 / paper.DISTAL,
        )  # fmt: skip
    return table
