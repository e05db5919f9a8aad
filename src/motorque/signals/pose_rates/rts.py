"""A Kalman filter and the smoother of Rauch, Tung and Striebel, on the manifold of rotations.

The state of a joint is its rotation R, angular velocity w and angular acceleration a. Between frames a is driven by
white jerk; every frame measures R with white noise. Errors are vectors in the tangent, in the parent's axes: R_true =
exp(e) R, w_true = w + e_w, a_true = a + e_a. Over a frame of length h

    R' = exp(h w + h² a / 2 − h³ w × a / 12) R,    w' = w + h a,    a' = a,
    e' = E e + J (h e_w + h² e_a / 2),

with E and J the rotation and the left Jacobian of the step. The smoother then goes back through the frames. In flat
space the result is the smoothing spline of `spline` with λ = noise² / jerk² · h.

It takes one Python step for each frame forward and one back; joints, sequences and components go together.

Source: Rauch, Tung, Striebel, AIAA Journal 3 (1965) 1445-1450; Solà, Quaternion kinematics for the error-state Kalman
filter (2017); Bourmaud et al., J. Math. Imaging Vis. 51 (2015) 209-228, for smoothing on Lie groups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.signals.pose_rates.interface import PoseRates, samples
from motorque.signals.pose_rates.likelihood import JERK, SMALLEST, likely_noise
from motorque.signals.pose_rates.manifold import Manifold, Places, Rotations
from motorque.signals.pose_rates.unrolled import bridged_places, bridged_rotations

ANYTHING = 100.0
"""Variance of rate and change at the start [rad², m² per frame to the second, fourth]: far more than any motion's."""
FINEST = 1e-12
"""Least variance of the noise [rad², m²]: numbers of single precision are no better."""


@dataclass(frozen=True, eq=False)
class RauchTungStriebel:
    """Smoothing by a model of the motion whose two numbers are given or found from the recording.

    What is not given is that of greatest likelihood, for each joint of each sequence, from at most 500 frames in the
    middle. Gradients take it as given. Missing frames are not measured; in the answer they are NaN. All is computed in
    double precision.

    Args:
        noise: Standard deviation of each component of rotations [rad], one number or one for each joint, shape [J].
        jerk: Square root of the density of the white jerk that drives rotations [rad/s^2.5], alike.
        place_noise: Standard deviation of each component of the translation [m].
        place_jerk: Square root of the density of the white jerk that drives the translation [m/s^2.5].

    Raises:
        DataError: One of them is not positive.
    """

    noise: float | Tensor | None = None
    jerk: float | Tensor | None = None
    place_noise: float | None = None
    place_jerk: float | None = None

    def __post_init__(self) -> None:
        for name in ("noise", "jerk", "place_noise", "place_jerk"):
            value = getattr(self, name)
            if value is None:
                continue
            good = bool((value > 0).all()) if isinstance(value, Tensor) else math.isfinite(value) and value > 0
            if not good:
                raise DataError(f"Kalman smoother: {name.replace('_', ' ')} must be positive, got {value}")

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """See :class:`RateMethod`; at least six frames."""
        given = samples(rotations, translation, fps, least=6)
        h, dtype = given.step, translation.dtype
        rotation = bridged_rotations(given.rotation, given.turned).double().movedim(-4, 0)
        place = bridged_places(given.translation, given.placed).double()[..., None, :].movedim(-3, 0)
        turned = None if given.turned is None else given.turned.movedim(-2, 0)
        placed = None if given.placed is None else given.placed[..., None].movedim(-2, 0)
        path, w, dw = _smoothed(Rotations(), rotation, turned, self.noise, self.jerk, h)
        moved, v, a = _smoothed(Places(), place, placed, self.place_noise, self.place_jerk, h)
        path, w, dw = path.movedim(0, -4).to(dtype), w.movedim(0, -3).to(dtype), dw.movedim(0, -3).to(dtype)
        moved, v, a = (x[..., 0, :].movedim(0, -2).to(dtype) for x in (moved, v, a))
        return given.answer(path, moved, (w, dw), (v, a))


def _smoothed(
    manifold: Manifold,
    points: Tensor,
    there: Tensor | None,
    noise: float | Tensor | None,
    jerk: float | Tensor | None,
    h: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Points, rates [1/s] and their changes [1/s²], smoothed; time first.

    Args:
        manifold: Where the points are.
        points: Samples, shape [T, ..., J, (3,) 3].
        there: Which of them are measured, shape [T, ..., J]; None for all.
        noise: Standard deviation of the noise, or None.
        jerk: Square root of the jerk's density, or None.
        h: Time between frames [s].
    """
    joints = manifold.between(points[0], points[0])[..., 0]

    def variance(value: float | Tensor | None, scale: float) -> Tensor | None:
        if value is None:
            return None
        found = torch.as_tensor(value, dtype=joints.dtype, device=joints.device) ** 2 * scale
        if found.ndim > 1 or (found.ndim == 1 and found.shape[0] != joints.shape[-1]):
            raise DataError(
                f"Kalman smoother: noise and jerk are one number or one for each of {joints.shape[-1]} joints, got "
                f"shape {list(found.shape)}"
            )
        return found.expand(joints.shape)

    sampled, pushed = likely_noise(manifold, points.detach(), there, variance(noise, 1.0), variance(jerk, h**5))
    sampled = sampled.clamp(min=FINEST)
    filtered = _filtered(manifold, points, there, sampled, torch.maximum(pushed, SMALLEST * sampled))
    point, rate, change = _backward(manifold, filtered)
    return point, rate / h, change / h**2


@dataclass(frozen=True, eq=False)
class _Step:
    """The filter at one frame, before and after its measurement, by frames.

    Args:
        expected: Point, rate and change before.
        expected_spread: Covariance of their errors, shape [..., J, 9, 9].
        found: After.
        spread: After.
        move: What the next frame makes of errors, shape [..., J, 9, 9].
    """

    expected: tuple[Tensor, Tensor, Tensor]
    expected_spread: Tensor
    found: tuple[Tensor, Tensor, Tensor]
    spread: Tensor
    move: Tensor


def _filtered(manifold: Manifold, points: Tensor, there: Tensor | None, noise: Tensor, jerk: Tensor) -> list[_Step]:
    """The filter through all frames; ``noise`` and ``jerk`` are variances by frames, shape [..., J]."""
    eye = torch.eye(3, dtype=noise.dtype, device=noise.device)
    whole = torch.eye(9, dtype=noise.dtype, device=noise.device)
    driven = jerk[..., None, None] * torch.kron(noise.new_tensor(JERK), eye)
    # The start is where the first sample is, going anywhere.
    start = torch.full_like(noise, ANYTHING)
    spread = torch.diag_embed(torch.stack([noise, start, start], dim=-1).repeat_interleave(3, dim=-1))
    blank = torch.zeros_like(manifold.between(points[0], points[0]))
    state = (points[0], blank, blank)
    steps: list[_Step] = []
    for t in range(len(points)):
        expected, expected_spread = state, spread
        point, rate, change = state
        uncertain = spread[..., :3, :3] + noise[..., None, None] * eye
        gain = torch.linalg.solve(uncertain, spread[..., :3, :]).mT
        if t == 0:
            gain = 0.0 * gain  # it is the start
        elif there is not None:
            gain = gain * there[t][..., None, None]
        correction = (gain @ manifold.between(point, points[t])[..., None])[..., 0]
        to_point, to_rate, to_change = correction.split(3, dim=-1)
        found = (manifold.step(point, to_point), rate + to_rate, change + to_change)
        # Joseph's form stays positive whatever rounding does.
        kept = whole - torch.cat([gain, torch.zeros_like(whole[:, 3:]).expand(*gain.shape[:-2], 9, 6)], dim=-1)
        spread = kept @ spread @ kept.mT + noise[..., None, None] * gain @ gain.mT
        step = manifold.displacement(found[1], found[2])
        turn, lever = manifold.carried(step)
        none, one = torch.zeros_like(turn), eye.expand_as(turn)
        move = torch.cat(
            [
                torch.cat([turn, lever, 0.5 * lever], dim=-1),
                torch.cat([none, one, one], dim=-1),
                torch.cat([none, none, one], dim=-1),
            ],
            dim=-2,
        )
        steps.append(_Step(expected, expected_spread, found, spread, move))
        spread = move @ spread @ move.mT + driven
        state = (manifold.step(found[0], step), found[1] + found[2], found[2])
    return steps


def _backward(manifold: Manifold, steps: list[_Step]) -> tuple[Tensor, Tensor, Tensor]:
    """The smoother back through all frames: points, rates and changes, time first."""
    later = steps[-1].found
    smoothed = [later]
    for now, then in zip(reversed(steps[:-1]), reversed(steps[1:]), strict=True):
        off = torch.cat(
            [
                manifold.between(then.expected[0], later[0]),
                later[1] - then.expected[1],
                later[2] - then.expected[2],
            ],
            dim=-1,
        )
        back = torch.linalg.solve(then.expected_spread, off[..., None])
        correction = (now.spread @ (now.move.mT @ back))[..., 0]
        to_point, to_rate, to_change = correction.split(3, dim=-1)
        point, rate, change = now.found
        later = (manifold.step(point, to_point), rate + to_rate, change + to_change)
        smoothed.append(later)
    point, rate, change = (torch.stack(x[::-1]) for x in zip(*smoothed, strict=True))
    return point, rate, change
