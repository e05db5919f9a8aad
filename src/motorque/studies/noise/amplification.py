"""4.1: how much torque error a level of pose noise makes, and the factor between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.studies.noise import paper
from motorque.studies.noise.models import PoseNoise, White
from motorque.studies.noise.protocol import NORMS, Chain, TorqueErrors, torque_errors
from motorque.studies.statistics import Interval, interval
from motorque.studies.tables import Table

Array = NDArray[np.float64]

SIGMAS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1)
"""Levels [rad]; the paper's own, but for 0.05, are not known."""
LINEAR = 0.05
"""The factor is fitted up to this level [rad], where errors are in proportion to it; above, products of noise count."""


@dataclass(frozen=True, eq=False)
class Amplification:
    """Torque errors by level.

    Args:
        subject: Whose motion.
        stencil: With which differences.
        sigmas: Levels [rad], shape [L].
        pose: Mean length of a joint's noise vector [rad], shape [L, S].
        errors: Each norm [N·m], shape [L, S].
        clean: The torques of the clean motion by the same norms [N·m], shape [1].
    """

    subject: str
    stencil: str
    sigmas: Array
    pose: Array
    errors: TorqueErrors
    clean: TorqueErrors

    def factor(self, norm: str = "joint", *, of_pose: bool = False) -> Interval:
        """Torque error per level, or per pose error [N·m/rad]: least squares through the origin, draw by draw."""
        fitted = self.sigmas <= LINEAR * (1 + 1e-9)
        x = (self.pose if of_pose else np.broadcast_to(self.sigmas[:, None], self.pose.shape))[fitted]
        y = getattr(self.errors, norm)[fitted]
        return interval((x * y).sum(0) / (x * x).sum(0))

    def exponent(self, norm: str = "joint") -> Interval:
        """Slope of the logarithm of the error over that of the level: 1 where noise and error are in proportion."""
        x = np.log(self.sigmas) - np.log(self.sigmas).mean()
        y = np.log(getattr(self.errors, norm))
        return interval((x[:, None] * y).sum(0) / (x * x).sum())

    def at(self, sigma: float, norm: str = "joint") -> Interval:
        """The error at a level that was measured."""
        level = int(np.abs(self.sigmas - sigma).argmin())
        return interval(getattr(self.errors, norm)[level])


def amplification(
    chain: Chain, stencil: str, draws: int, *, seed: int = 0, sigmas: tuple[float, ...] = SIGMAS
) -> Amplification:
    """Torque errors of white noise at several levels, all with the same random numbers."""
    unit = White(1.0).draw(chain.subject.poses, draws, seed=seed)
    levels = np.array(sigmas)
    noise = (levels[:, None, None, None, None] * unit.rotation).reshape(-1, *unit.rotation.shape[1:])
    found = torque_errors(chain.error(PoseNoise(noise, np.zeros((1, 1, 3)))))
    pose = np.linalg.norm(noise, axis=-1).mean((1, 2)).reshape(len(levels), draws)
    errors = TorqueErrors(*(x.reshape(len(levels), draws) for x in found))
    return Amplification(chain.subject.name, stencil, levels, pose, errors, torque_errors(chain.clean))


def curve_table(results: list[Amplification]) -> Table:
    """Figure 2 (a) as numbers."""
    table = Table(
        "fig2a_amplification",
        "Torque error over the noise's standard deviation, white noise on all 24 joints",
        ("motion", "stencil", "sigma [rad]", "pose error [rad]", *(f"{norm} [N·m]" for norm in NORMS)),
        notes=tuple(f"{norm}: {what}" for norm, what in NORMS.items()),
    )
    for r in results:
        for i, sigma in enumerate(r.sigmas):
            cells = (interval(getattr(r.errors, norm)[i]) for norm in NORMS)
            table.add(r.subject, r.stencil, float(sigma), interval(r.pose[i]), *cells)
    return table


def factor_table(results: list[Amplification]) -> Table:
    """The fitted factors, and the error at the paper's level."""
    table = Table(
        "fig2a_factor",
        f"Amplification fitted up to {LINEAR:g} rad, per standard deviation of a component and per mean length of a "
        "joint's noise vector",
        (
            "motion", "stencil", "norm", "factor [N·m per rad of sigma]", "factor [N·m per rad of pose error]",
            "exponent", f"error at {paper.SIGMA:g} rad [N·m]", "clean torques [N·m]", "the paper's factor [N·m/rad]",
        ),
        notes=("The paper says about 1,000 and not of which of the two; the exponent is 1 for proportion.",),
    )  # fmt: skip
    for r in results:
        for norm in NORMS:
            table.add(
                r.subject, r.stencil, norm, r.factor(norm), r.factor(norm, of_pose=True), r.exponent(norm),
                r.at(paper.SIGMA, norm), float(getattr(r.clean, norm)[0]), paper.FACTOR if norm == "joint" else None,
            )  # fmt: skip
    return table
