"""5: refinement of noisy poses: Table 1, Figure 3, and what weights that the paper does not give change."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.fitting.refine import refine_poses
from motorque.fitting.refine_adam import default_loss, refine_adam
from motorque.series.poses import Poses
from motorque.signals.pose_rates import PoseRates
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise import paper
from motorque.studies.noise.lowpass import filtered
from motorque.studies.noise.models import NoiseModel, White, noisy_rotations
from motorque.studies.noise.protocol import STENCILS, Chain, Subject, TorqueErrors, torque_errors
from motorque.studies.statistics import interval, reduction
from motorque.studies.tables import Table

Array = NDArray[np.float64]
Method = Callable[[Poses], Poses]

NOISY, FILTER, ADAM, ADAM_TWICE, REFINE = (
    "noisy", f"Butterworth {paper.CUTOFF:g} Hz", "Adam, 200 iterations", "Adam, central-twice", "refine",
)  # fmt: skip
STATICS, ZERO = "no motion: torques of the noisy poses held still", "no torques at all"
"""Yardsticks: whoever leaves all movement out makes no noise either."""
JOINT = "left_hip"
"""Whose torque the paper's Figure 3 shows."""


def _low_pass(poses: Poses) -> Poses:
    vectors = filtered(poses.rotation_vectors[None], poses.rate, paper.CUTOFF)[0]
    place = filtered(poses.translation[None], poses.rate, paper.CUTOFF)[0]
    return dataclasses.replace(
        Poses.from_rotation_vectors(vectors, place, times=poses.times),
        up=poses.up, sex=poses.sex, height=poses.height, mass=poses.mass, joint_positions=poses.joint_positions,
    )  # fmt: skip


METHODS: dict[str, Method] = {
    NOISY: lambda poses: poses,
    FILTER: _low_pass,
    ADAM: refine_adam,
    ADAM_TWICE: lambda poses: refine_adam(poses, twice=True),
    REFINE: lambda poses: refine_poses(poses).poses,
}
"""What is done to noisy poses: nothing, the paper's filter, the paper's refinement with either stencil, and
`fitting.refine`, whose way and settings its own file tells.
"""


@dataclass(frozen=True, eq=False)
class Refined:
    """Errors of poses after one method, of S draws.

    Args:
        subject: Whose motion.
        method: Name.
        errors: Torque errors by stencil [N·m], each of shape [S].
        pose: Mean length of the difference of rotation vectors from the clean ones [rad], shape [S].
        seconds: Of one refinement, shape [S].
        example: Torque of one joint by stencil [N·m], shape [S, T - 2 ends, 3].
    """

    subject: str
    method: str
    errors: Mapping[str, TorqueErrors]
    pose: Array
    seconds: Array
    example: Mapping[str, Array]


def refined(
    subject: Subject,
    draws: int,
    *,
    seed: int = 0,
    noise: NoiseModel | None = None,
    methods: Mapping[str, Method] = METHODS,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Refined]:
    """Errors of noisy poses after every method; poses are refined one draw after the other, as a user would."""
    rotations, places = noisy_rotations(subject.poses, (noise or White()).draw(subject.poses, draws, seed=seed))
    given = [
        dataclasses.replace(subject.poses, rotations=r, translation=p) for r, p in zip(rotations, places, strict=True)
    ]
    chains = {stencil: subject.chain(stencil) for stencil in STENCILS}
    found = []
    for done, (name, method) in enumerate(methods.items()):
        poses, seconds = [], []
        for number, one in enumerate(given):
            progress((done + number / len(given)) / len(methods))
            start = time.perf_counter()
            poses.append(method(one))
            seconds.append(time.perf_counter() - start)
        found.append(_scored(subject, name, chains, poses, np.array(seconds)))
    return found


@dataclass(frozen=True)
class _Still:
    """Rates of somebody who does not move, so that torques are those of gravity alone."""

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`motorque.signals.pose_rates.RateMethod`."""
        turning, moving = torch.zeros_like(rotations[..., 0]), torch.zeros_like(translation)
        return PoseRates(rotations, translation, turning, turning, moving, moving)


def yardsticks(subject: Subject, draws: int, *, seed: int = 0, noise: NoiseModel | None = None) -> list[Refined]:
    """Errors of torques without movement and of no torques at all; the poses stay as noisy as they are."""
    rotations, places = noisy_rotations(subject.poses, (noise or White()).draw(subject.poses, draws, seed=seed))
    still = subject.chain(_Still()).torques(rotations, places)
    chains = {stencil: subject.chain(stencil) for stencil in STENCILS}
    noisy = np.array([pose_error(subject, dataclasses.replace(subject.poses, rotations=one)) for one in rotations])
    found = []
    for name, torques in ((STATICS, still), (ZERO, np.zeros_like(still))):
        errors = {stencil: torque_errors(torques - chain.clean) for stencil, chain in chains.items()}
        hip = torques[:, :, SMPL_JOINTS.index(JOINT)]
        found.append(Refined(subject.name, name, errors, noisy, np.zeros(draws), dict.fromkeys(STENCILS, hip)))
    return found


def _scored(subject: Subject, name: str, chains: Mapping[str, Chain], poses: list[Poses], seconds: Array) -> Refined:
    rotations, places = np.stack([p.rotations for p in poses]), np.stack([p.translation for p in poses])
    torques = {stencil: chain.torques(rotations, places) for stencil, chain in chains.items()}
    errors = {stencil: torque_errors(torques[stencil] - chain.clean) for stencil, chain in chains.items()}
    pose = np.array([pose_error(subject, p) for p in poses])
    joint = SMPL_JOINTS.index(JOINT)
    return Refined(subject.name, name, errors, pose, seconds, {k: v[:, :, joint] for k, v in torques.items()})


def pose_error(subject: Subject, poses: Poses) -> float:
    """Mean over frames and joints of the length of the difference of rotation vectors [rad], as in Table 1.

    Of the two vectors of a rotation that is nearer to half a turn than to none the one nearer to the clean one counts.
    """
    vectors, clean = poses.rotation_vectors, subject.vectors
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    other = vectors * (1 - 2 * np.pi / np.maximum(angle, 1e-12))
    off = np.minimum(np.linalg.norm(vectors - clean, axis=-1), np.linalg.norm(other - clean, axis=-1))
    return float(off.mean())


def refinement_table(results: list[Refined], sigma: float = paper.SIGMA) -> Table:
    """Table 1."""
    table = Table(
        "table1_refinement",
        f"Refinement of poses with white noise of {sigma:g} rad",
        (
            "motion", "method", "torques by", "torque error: joint [N·m]", "reduction [%]", "joint_rootless [N·m]",
            "body [N·m]", "pose error [rad]", "its reduction [%]",
        ),
        notes=(
            f"The paper's Table 1: {paper.NOISY} → {paper.REFINED} N·m (92.2 %), {paper.NOISY_POSE} → "
            f"{paper.REFINED_POSE} rad (0.96 %).",
            "Adam goes down equation 5 with the torques of the central stencil, or where said of central-twice; its "
            "weights and limit are fitting.refine_adam's, as the paper's are not known. They were chosen on CMU's walk "
            "35_01 with this noise: on 35_01 it is no test of them.",
            "The last two are yardsticks, no methods: what somebody gets who leaves all movement, or all torque, out. "
            "A method that does not go below them has taken the motion's own torques away with the noise's.",
        ),
    )  # fmt: skip
    raw = {r.subject: r for r in results if r.method == NOISY}
    for r in results:
        base = raw[r.subject]
        for stencil, errors in r.errors.items():
            fallen = None if r.method == NOISY else interval(reduction(base.errors[stencil].joint, errors.joint))
            moved = None if r.method in (NOISY, STATICS, ZERO) else interval(reduction(base.pose, r.pose))
            table.add(
                r.subject, r.method, stencil, interval(errors.joint), fallen, interval(errors.joint_rootless),
                interval(errors.body), interval(r.pose), moved,
            )  # fmt: skip
    return table


def weight_methods() -> dict[str, Method]:
    """The paper's refinement with its weights, its limit and its count of iterations elsewhere, one at a time."""
    found: dict[str, Method] = {NOISY: METHODS[NOISY], "as chosen": refine_adam}
    for factor in (0.01, 0.1, 10.0, 100.0):
        found[f"smoothness × {factor:g}"] = _weighed(smoothness=factor)
    for factor in (0.1, 10.0):
        found[f"pose × {factor:g}"] = _weighed(pose=factor)
    for factor in (0.0, 10.0):
        found[f"limit's weight × {factor:g}"] = _weighed(limit=factor)
    for limit in (150.0, 600.0):
        found[f"limit {limit:g} N·m"] = _weighed(newton_metres=limit)
    for iterations in (50, 1000):
        found[f"{iterations} iterations"] = _iterated(iterations)
    return found


def _weighed(
    *, smoothness: float = 1.0, limit: float = 1.0, pose: float = 1.0, newton_metres: float | None = None
) -> Method:
    """The refinement with factors on the weights that it chooses by itself, which depend on the poses."""

    def method(poses: Poses) -> Poses:
        own = default_loss(poses)
        weights = (own.weights[0] * smoothness, own.weights[1] * limit, own.weights[2] * pose)
        loss = dataclasses.replace(own, weights=weights, limit=own.limit if newton_metres is None else newton_metres)
        return refine_adam(poses, loss=loss)

    return method


def _iterated(iterations: int) -> Method:
    return lambda poses: refine_adam(poses, iterations=iterations)


def weight_table(results: list[Refined]) -> Table:
    """How the paper's refinement depends on what the paper does not give."""
    table = Table(
        "sensitivity_weights",
        "Adam on equation 5 with one of its settings changed",
        ("motion", "setting", "torques by", "torque error: joint [N·m]", "reduction [%]", "pose error [rad]",
         "its reduction [%]"),
        notes=("Factors are on the weights of fitting.refine_adam, which measures against the given poses' torques.",),
        draws=len(results[0].pose) if results else None,
    )  # fmt: skip
    raw = {r.subject: r for r in results if r.method == NOISY}
    for r in results:
        base = raw[r.subject]
        for stencil, errors in r.errors.items():
            table.add(
                r.subject, r.method, stencil, interval(errors.joint),
                interval(reduction(base.errors[stencil].joint, errors.joint)), interval(r.pose),
                interval(reduction(base.pose, r.pose)),
            )  # fmt: skip
    return table
