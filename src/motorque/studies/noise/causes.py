"""What a torque error depends on beside the noise: one thing changed at a time, so that differences have a cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from motorque.signals.pose_rates import CentralTwice, PoseRates
from motorque.signals.pose_rates.interface import samples
from motorque.signals.pose_rates.rotation_calculus import rotation_log
from motorque.skeleton import Skeleton
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise import paper
from motorque.studies.noise.from_positions import PositionChain
from motorque.studies.noise.models import NoiseModel, White
from motorque.studies.noise.protocol import Chain, Subject, TorqueErrors, resampled, torque_errors
from motorque.studies.statistics import interval
from motorque.studies.tables import Table

Array = NDArray[np.float64]

BASE = "as in the protocol"


@dataclass(frozen=True)
class ForwardThenCentral:
    """A third reading of the paper: angular velocity from consecutive rotations, then central differences of that."""

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`motorque.signals.pose_rates.RateMethod`."""
        given = samples(rotations, translation, fps, least=5)
        r = given.rotation
        steps = rotation_log(r[..., 1:, :, :, :] @ r[..., :-1, :, :, :].mT) / given.step
        w = torch.cat([steps, steps[..., -1:, :, :]], dim=-3)
        dw = torch.gradient(w, spacing=given.step, dim=-3)[0]
        both = CentralTwice()(rotations, translation, fps)
        return given.answer(r, translation, (w, dw), (both.velocity, both.acceleration))


@dataclass(frozen=True, eq=False)
class Cause:
    """The effect of one change.

    Args:
        subject: Whose motion.
        stencil: With which differences.
        group: What kind of thing is changed.
        change: To what.
        errors: Torque errors [N·m], each of shape [S].
        base: Those without the change, from the same random numbers.
    """

    subject: str
    stencil: str
    group: str
    change: str
    errors: TorqueErrors
    base: TorqueErrors


def causes(subject: Subject, stencil: str, draws: int, *, seed: int = 0, sigma: float = paper.SIGMA) -> list[Cause]:
    """The effects of all changes on the torque error of white noise."""
    base = subject.chain(stencil).errors(White(sigma), draws, seed=seed)
    found = [Cause(subject.name, stencil, "", BASE, base, base)]
    for group, change, chain, model in _changes(subject, stencil, sigma):
        found.append(Cause(subject.name, stencil, group, change, chain.errors(model, draws, seed=seed), base))
    composed = torque_errors(_composed(subject.chain(stencil), White(sigma), draws, seed))
    found.append(Cause(subject.name, stencil, "noise", "rotations composed, not vectors added", composed, base))
    return found


def _changes(subject: Subject, stencil: str, sigma: float) -> Iterator[tuple[str, str, Chain, NoiseModel]]:
    poses, white = subject.poses, White(sigma)
    if stencil == "central":
        yield "differences", "forward, then central", subject.chain(ForwardThenCentral()), white
    other = "central-twice" if stencil == "central" else "central"
    yield "differences", f"{other} instead", subject.chain(other), white
    yield "differences", "positions and rotations in space", PositionChain(subject, stencil), white
    for rate in (25.0, 60.0, 120.0):
        at_rate = replace(subject, poses=resampled(poses, rate))
        yield "frame rate", f"{rate:g} frames a second", at_rate.chain(stencil), white
    yield "ends", "one-sided ends counted", replace(subject, ends=0).chain(stencil), white
    yield "noise", "none on the root", subject.chain(stencil), replace(white, root=False)
    for place in (0.005, 0.02):
        yield (
            "noise",
            f"root's place off by {1000 * place:g} mm too",
            subject.chain(stencil),
            replace(white, translation=place),
        )
    for mass in (60.0, 90.0):
        heavier = replace(subject, poses=dataclasses.replace(poses, mass=mass))
        yield "body", f"{mass:g} kg", heavier.chain(stencil), white
    if poses.joint_positions is None:
        for height in (1.6, 1.8):
            taller = replace(subject, poses=dataclasses.replace(poses, height=height))
            yield "body", f"{height:g} m", taller.chain(stencil), white
    for what, change in BODIES.items():
        yield "body", what, Chain(subject, stencil, body=change), white


def _moved(shares: dict[str, float], parts: tuple[str, ...]) -> Callable[[Skeleton], Skeleton]:
    """A body whose mass of some parts is shared out anew; inertias about centres of mass go with the masses."""
    index = [SMPL_JOINTS.index(name) for name in parts]
    weights = np.array([shares[name] for name in parts])

    def change(skeleton: Skeleton) -> Skeleton:
        mass = skeleton.mass.clone()
        mass[index] = float(mass[index].sum()) * torch.tensor(weights / weights.sum(), dtype=mass.dtype)
        factor = mass / skeleton.mass
        return dataclasses.replace(skeleton, mass=mass, inertia=skeleton.inertia * factor[:, None, None])

    return change


def _scaled_parts(factor: float, parts: tuple[str, ...]) -> Callable[[Skeleton], Skeleton]:
    index = [SMPL_JOINTS.index(name) for name in parts]

    def change(skeleton: Skeleton) -> Skeleton:
        by = torch.ones_like(skeleton.mass)
        by[index] = factor
        return dataclasses.replace(skeleton, mass=skeleton.mass * by, inertia=skeleton.inertia * by[:, None, None])

    return change


_TRUNK = ("pelvis", "spine1", "spine2", "spine3")
_HANDS = ("left_wrist", "right_wrist", "left_hand", "right_hand")
BODIES: dict[str, Callable[[Skeleton], Skeleton]] = {
    "trunk's mass in four equal parts": _moved(dict.fromkeys(_TRUNK, 1.0), _TRUNK),
    "trunk's mass for the most part in spine3": _moved(
        {"pelvis": 0.25, "spine1": 0.1, "spine2": 0.15, "spine3": 0.5}, _TRUNK
    ),
    "hands twice as heavy": _scaled_parts(2.0, _HANDS),
    "no rotational inertia": lambda s: dataclasses.replace(s, inertia=1e-6 * s.inertia),
}
"""Other ways to make up a person; de Leva's table has no four parts of the trunk, and the paper's are not known."""


def _composed(chain: Chain, model: NoiseModel, draws: int, seed: int) -> Array:
    """Torque errors when noise turns the joints in their parents' axes instead of being added to rotation vectors."""
    poses = chain.subject.poses
    noise = model.draw(poses, draws, seed=seed)
    turns = Rotation.from_rotvec(noise.rotation.reshape(-1, 3)).as_matrix().reshape(*noise.rotation.shape, 3)
    return chain.torques(turns @ poses.rotations, poses.translation + noise.translation) - chain.clean


def cause_table(results: list[Cause]) -> Table:
    """What the torque error depends on."""
    table = Table(
        "causes",
        f"White noise of {paper.SIGMA:g} rad with one thing about the chain, the noise or the body changed",
        (
            "motion", "stencil", "what", "change", "joint [N·m]", "over unchanged", "joint_rootless [N·m]",
            "body [N·m]", "over the paper's Table 1",
        ),
        notes=(f"The paper's Table 1 has {paper.NOISY} N·m before refinement.",),
    )  # fmt: skip
    for r in results:
        value = interval(r.errors.joint)
        table.add(
            r.subject, r.stencil, r.group, r.change, value, interval(r.errors.joint / r.base.joint),
            interval(r.errors.joint_rootless), interval(r.errors.body), value.mean / paper.NOISY,
        )  # fmt: skip
    return table
