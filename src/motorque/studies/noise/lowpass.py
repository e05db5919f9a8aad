"""4.3: low-pass filters before the differences: what they take away of noise, and what of motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from motorque.errors import DataError
from motorque.signals.filters import butterworth
from motorque.studies.noise import paper
from motorque.studies.noise.models import PoseNoise, White
from motorque.studies.noise.protocol import Chain, TorqueErrors, torque_errors
from motorque.studies.statistics import Interval, interval, reduction
from motorque.studies.tables import Table

Array = NDArray[np.float64]

CUTOFFS = tuple(float(x) for x in range(2, 15))
"""[Hz]."""
KINDS = {
    "order 4 each way": "a Butterworth filter of order 4 run forward and backward, down to 1/2 at the cutoff",
    "order 4 in all": "order 2 run forward and backward, the cutoff corrected to 1/√2 (Winter)",
}
"""Both things that are called a zero-phase Butterworth filter of order 4; the first is what SciPy's users get."""
FIRST = "order 4 each way"
LEVELS = (0.005, 0.01, 0.02, 0.05, 0.1)
"""Noise levels [rad] for which the best cutoff is looked for."""
NOTHING = PoseNoise(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1)))


def filtered(values: Array, rate: float, cutoff: float, kind: str = FIRST) -> Array:
    """Series filtered along their second dimension, shape [S, T, ...].

    Raises:
        DataError: The cutoff is not below half the rate.
    """
    if not 0 < cutoff < rate / 2:
        raise DataError(f"a cutoff of {cutoff:g} Hz is not below half the rate of {rate:g} frames a second")
    if kind == FIRST:
        pad = min(values.shape[1] - 1, int(np.ceil(1.5 * rate / cutoff)))
        sections = butter(4, cutoff, fs=rate, output="sos")
        return np.asarray(sosfiltfilt(sections, values, axis=1, padtype="odd", padlen=pad))
    return np.moveaxis(butterworth(np.moveaxis(values, 1, 0), rate, cutoff, order=4), 0, 1)


def filtered_error(chain: Chain, noise: PoseNoise, cutoff: float, kind: str = FIRST) -> Array:
    """Torques of noisy poses, filtered, less those of clean ones, unfiltered [N·m], shape [S, T - 2 ends, 24, 3].

    Of no noise (``NOTHING``) that is what the filter takes from the motion itself.
    """
    poses = chain.subject.poses
    vectors = filtered(chain.subject.vectors + noise.rotation, poses.rate, cutoff, kind)
    return chain.error_of(vectors, filtered(poses.translation + noise.translation, poses.rate, cutoff, kind))


@dataclass(frozen=True, eq=False)
class LowPass:
    """Torque errors by cutoff.

    Args:
        subject: Whose motion.
        stencil: With which differences.
        kind: Which filter, of ``KINDS``.
        sigma: Level of the white noise [rad].
        cutoffs: [Hz], shape [C].
        raw: Without a filter [N·m], shape [S].
        errors: After it [N·m], shape [C, S].
        loss: What it makes of clean motion [N·m], shape [C].
    """

    subject: str
    stencil: str
    kind: str
    sigma: float
    cutoffs: Array
    raw: TorqueErrors
    errors: TorqueErrors
    loss: TorqueErrors

    def best(self, norm: str = "joint") -> int:
        """Index of the cutoff of least error."""
        return int(getattr(self.errors, norm).mean(1).argmin())

    def reduction(self, cutoff: float, norm: str = "joint") -> Interval:
        """By how much a cutoff lowers the error [%]."""
        found = int(np.abs(self.cutoffs - cutoff).argmin())
        return interval(reduction(getattr(self.raw, norm), getattr(self.errors, norm)[found]))


def lowpass(
    chain: Chain,
    stencil: str,
    draws: int,
    *,
    seed: int = 0,
    sigma: float = paper.SIGMA,
    cutoffs: tuple[float, ...] = CUTOFFS,
    kind: str = FIRST,
) -> LowPass:
    """Torque errors of white noise after a filter, for every cutoff below half the rate."""
    noise = White(sigma).draw(chain.subject.poses, draws, seed=seed)
    usable = [c for c in cutoffs if c < chain.subject.poses.rate / 2]
    errors = [torque_errors(filtered_error(chain, noise, c, kind)) for c in usable]
    losses = [torque_errors(filtered_error(chain, NOTHING, c, kind)) for c in usable]
    return LowPass(
        chain.subject.name,
        stencil,
        kind,
        sigma,
        np.array(usable),
        torque_errors(chain.error(noise)),
        TorqueErrors(*(np.stack(x) for x in zip(*errors, strict=True))),
        TorqueErrors(*(np.concatenate(x) for x in zip(*losses, strict=True))),
    )


def cutoff_table(results: list[LowPass]) -> Table:
    """Figure 2 (c) as numbers."""
    table = Table(
        "fig2c_lowpass",
        f"Torque error of white noise of {paper.SIGMA:g} rad after a zero-phase Butterworth filter of order 4",
        (
            "motion", "stencil", "filter", "cutoff [Hz]", "joint [N·m]", "reduction [%]", "joint_rootless [N·m]",
            "body [N·m]", "of clean motion: joint [N·m]", "least error",
        ),
        notes=tuple(f"{kind}: {what}" for kind, what in KINDS.items()),
    )  # fmt: skip
    for r in results:
        for i, cutoff in enumerate(r.cutoffs):
            table.add(
                r.subject, r.stencil, r.kind, float(cutoff), interval(r.errors.joint[i]),
                interval(reduction(r.raw.joint, r.errors.joint[i])), interval(r.errors.joint_rootless[i]),
                interval(r.errors.body[i]), float(r.loss.joint[i]), "*" if i == r.best() else "",
            )  # fmt: skip
    return table


def best_table(results: list[LowPass]) -> Table:
    """The cutoff of least error for every level of noise."""
    table = Table(
        "fig2c_best_cutoff",
        "The cutoff of least torque error by the level of white noise, beside the paper's 6 Hz",
        (
            "motion", "stencil", "sigma [rad]", "without a filter [N·m]", "best cutoff [Hz]", "error there [N·m]",
            "error at 6 Hz [N·m]",
        ),
        notes=(f"Of {CUTOFFS[0]:g} to {CUTOFFS[-1]:g} Hz in steps of one; {FIRST}; joint, root in.",),
    )  # fmt: skip
    for r in results:
        best, own = r.best(), int(np.abs(r.cutoffs - paper.CUTOFF).argmin())
        table.add(
            r.subject, r.stencil, r.sigma, interval(r.raw.joint), float(r.cutoffs[best]),
            interval(r.errors.joint[best]), interval(r.errors.joint[own]),
        )  # fmt: skip
    return table
