"""A smoothing spline of rotations: the smoothest angular velocity that stays near the samples.

On unrolled rotations X (`unrolled`) the curve f minimises

    h Σ |f(t_k) − X_k|² + λ ∫ |f‴|² dt,

the integral of the squared second derivative of the angular velocity: a natural quintic spline. It passes a motion of
frequency ν with the gain 1 / (1 + λ (2πν)⁶). λ is chosen for each joint by generalized cross-validation, or given.

Source: Woltring, Advances in Engineering Software 8 (1986) 104-113; Jupp and Kent 1987 for the rotations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.interface import PoseRates, samples
from motorque.signals.pose_rates.linear_map import apply_map
from motorque.signals.pose_rates.quintic import QuinticEquations, QuinticSmoother, cross_validated_penalty
from motorque.signals.pose_rates.unrolled import bridged_places, bridged_rotations, smooth_unrolled


@dataclass(frozen=True)
class SmoothingSpline:
    """Quintic smoothing splines of rotations and translation.

    Frames that are missing weigh nothing; in the answer they are NaN.

    Args:
        penalty: λ [s⁶], one number for all; None for generalized cross-validation, one for each joint and sequence and
            one for the translation. As all that looks for white noise it smooths too little where noise lasts from
            frame to frame. Gradients take the λ found as given.
        inflation: How much dearer than in plain cross-validation a degree of freedom is; 1.4 keeps it from following
            the noise now and then.

    Raises:
        DataError: A penalty that is not positive.

    Source of the inflation: Kim and Gu, J. R. Statist. Soc. B 66 (2004) 337-356.
    """

    penalty: float | None = None
    inflation: float = 1.4

    def __post_init__(self) -> None:
        if self.penalty is not None and not (math.isfinite(self.penalty) and self.penalty > 0):
            raise DataError(f"smoothing spline: the penalty must be a positive number of s⁶, got {self.penalty}")

    @staticmethod
    def at_cutoff(frequency: float) -> SmoothingSpline:
        """The spline that halves what swings at a frequency [Hz]: λ = 1 / (2πν)⁶."""
        if not (math.isfinite(frequency) and frequency > 0):
            raise DataError(f"smoothing spline: the cutoff must be a positive frequency, got {frequency} Hz")
        return SmoothingSpline(penalty=(2 * math.pi * frequency) ** -6)

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`RateMethod`; at least six frames."""
        given = samples(rotations, translation, fps, least=6)
        h = given.step
        turned, placed = _columns(given.turned, joints=True), _columns(given.placed, joints=False)
        rotation = bridged_rotations(given.rotation, given.turned)
        place = bridged_places(given.translation, given.placed)
        turning = _Splines(self, h, turned)

        def smooth(x: Tensor) -> Tensor:
            # What holds in the end is the penalty for samples around a smooth path, as they are in the second round.
            if turning.rounds < 2:
                turning.choose(x)
            return turning(x, 0)

        path, trace = smooth_unrolled(rotation, smooth)
        sliding = _Splines(self, h, placed)
        sliding.choose(place[..., None, :])
        moved, velocity, acceleration = (sliding(place[..., None, :], order)[..., 0, :] for order in (0, 1, 2))
        return given.answer(path, moved, (turning(trace, 1), turning(trace, 2)), (velocity, acceleration))


class _Splines:
    """Splines of several joints, solved together where penalty and gaps are the same.

    Args:
        method: How penalties are found.
        h: Time between frames [s].
        there: Which samples count, shape [T, N]; None for all.
    """

    def __init__(self, method: SmoothingSpline, h: float, there: NDArray[np.bool_] | None) -> None:
        self.method, self.h, self.there, self.rounds = method, h, there, 0
        self.groups: list[tuple[list[int], QuinticEquations]] = []

    def choose(self, x: Tensor) -> None:
        """Fix the penalties for samples [..., T, J, 3]."""
        self.rounds += 1
        rows = x.detach().movedim(-3, 0).flatten(1, -2).to(device="cpu", dtype=torch.float64).numpy()
        frames, count = rows.shape[:2]
        if self.method.penalty is None:
            penalties = cross_validated_penalty(rows, self.there, inflation=self.method.inflation)
        else:
            penalties = np.full(count, self.method.penalty / self.h**6)
        alike: dict[tuple[float, bytes], list[int]] = {}
        for i, penalty in enumerate(penalties.tolist()):
            alike.setdefault((penalty, b"" if self.there is None else self.there[:, i].tobytes()), []).append(i)
        self.groups = []
        for (penalty, _), members in alike.items():
            weights = None if self.there is None else self.there[:, members[0]].astype(np.float64)
            self.groups.append((members, QuinticEquations.of(frames, penalty, weights)))

    def __call__(self, x: Tensor, order: int) -> Tensor:
        """The splines of samples [..., T, J, 3] at the frames, or their derivatives by time."""
        leading = x.movedim(-3, 0)
        rows = leading.flatten(1, -2)
        found, listed = [], []
        for members, equations in self.groups:
            columns = rows[:, members].flatten(1)
            found.append(apply_map(QuinticSmoother(equations, order), columns).unflatten(1, (len(members), 3)))
            listed += members
        back = torch.tensor(np.argsort(listed), device=rows.device)
        values = torch.cat(found, dim=1).index_select(1, back) / self.h**order
        return values.reshape(leading.shape).movedim(0, -3)


def _columns(there: Tensor | None, *, joints: bool) -> NDArray[np.bool_] | None:
    """Which samples are there, as [T, N]."""
    if there is None:
        return None
    mask = there.movedim(-2, 0).flatten(1) if joints else there.movedim(-1, 0).reshape(there.shape[-1], -1)
    return np.asarray(mask.cpu().numpy())
