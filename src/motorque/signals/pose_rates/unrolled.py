"""Rotations over time as vectors over time, so that linear smoothers of vectors can smooth rotations.

A path of rotations is unrolled like the trace of a ball on a plane: X(t), the integral of its angular velocity in the
parent's axes. A smoother is applied to the samples as they lie around a smooth path, X = X_path + log(R R_pathᵀ), the
path is bent to the result, and once more around the bent path, until the path is its own smoothing. At the end

    path = smoothed samples,    angular velocity = dX/dt,    angular acceleration = d²X/dt²,

whatever turns have been made: no chart, no half turn to avoid, nothing that depends on the axes.

Source: Jupp and Kent, Fitting smooth paths to spherical data, Applied Statistics 36 (1987) 34-46, with the flat
connection of SO(3) that keeps vectors in the parent's axes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from motorque.signals.pose_rates.rotation_calculus import rotation_exp, rotation_log

ROUNDS = 4
"""Times that samples are smoothed. One more moves the path of a joint that turns with 5 rad/s by 1e-6 rad, of one with
15 rad/s by 1e-4 rad, where noise is 0.05 rad at 30 frames per second."""


def bridged_rotations(rotation: Tensor, there: Tensor | None) -> Tensor:
    """Missing rotations replaced by the shortest turn between the ones around them, at constant speed; before the first
    and after the last one they stay.

    Args:
        rotation: Shape [..., T, J, 3, 3].
        there: Which are there, shape [..., T, J]; None for all.
    """
    if there is None:
        return rotation
    before, after, part = _neighbours(there, dim=-2)

    def at(index: Tensor) -> Tensor:
        return rotation.gather(-4, index[..., None, None].expand(rotation.shape))

    one, two = at(before), at(after)
    between = rotation_exp(part[..., None].to(rotation.dtype) * rotation_log(two @ one.mT)) @ one
    return torch.where(there[..., None, None], rotation, between)


def bridged_places(place: Tensor, there: Tensor | None) -> Tensor:
    """As :func:`bridged_rotations`, of points [..., T, 3] along straight lines."""
    if there is None:
        return place
    before, after, part = _neighbours(there, dim=-1)
    one, two = (place.gather(-2, i[..., None].expand(place.shape)) for i in (before, after))
    return torch.where(there[..., None], place, one + part[..., None].to(place.dtype) * (two - one))


def _neighbours(there: Tensor, *, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Frames before and after that are there, and how far between them each frame is, from 0 to 1; as ``there``."""
    frames = there.shape[dim]
    shape = [1] * there.ndim
    shape[dim] = frames
    number = torch.arange(frames, device=there.device).reshape(shape)
    before = torch.where(there, number, -1).cummax(dim).values
    after = torch.where(there, number, frames).flip(dim).cummin(dim).values.flip(dim)
    none = (before < 0) & (after >= frames)
    before, after = torch.where(before < 0, after, before), torch.where(after >= frames, before, after)
    before, after = torch.where(none, number, before), torch.where(none, number, after)
    return before, after, (number - before) / (after - before).clamp(min=1)


def smooth_unrolled(
    rotation: Tensor, smoother: Callable[[Tensor], Tensor], *, rounds: int = ROUNDS
) -> tuple[Tensor, Tensor]:
    """Smooth rotations by a linear smoother of vectors.

    Args:
        rotation: Rotations without gaps, shape [..., T, J, 3, 3].
        smoother: Smooths samples [..., T, J, 3]; leaves constants and straight lines as they are.
        rounds: How often.

    Returns:
        The smoothed path, shape [..., T, J, 3, 3], and the unrolled samples around the path before the last round, of
        which the path's unrolled form is the smoothing, shape [..., T, J, 3].
    """
    path, trace = rotation, unroll(rotation)
    samples = trace
    for _ in range(rounds):
        off = None if path is rotation else rotation_log(rotation @ path.mT)
        samples = trace if off is None else trace + off
        path = rotation_exp(smoother(samples) - trace) @ path
        trace = unroll(path)
    return path, samples


def unroll(rotation: Tensor) -> Tensor:
    """Integral of the angular velocity along a path, from 0 [rad]; [..., T, J, 3, 3] to [..., T, J, 3].

    Over one frame it is the rotation vector d of the step plus h³ w × dw/dt / 12, by Magnus' series, with w and dw/dt
    from steps and their differences: its error falls with the fourth power of the time between frames.
    """
    step = rotation_log(rotation[..., 1:, :, :, :] @ rotation[..., :-1, :, :, :].mT)
    if step.shape[-3] > 1:
        bend = step[..., 1:, :, :] - step[..., :-1, :, :]  # at inner frames
        ends = torch.cat([bend[..., :1, :, :], bend, bend[..., -1:, :, :]], dim=-3)
        mean = 0.5 * (ends[..., 1:, :, :] + ends[..., :-1, :, :])
        step = step + torch.linalg.cross(step, mean) / 12
    start = torch.zeros_like(step[..., :1, :, :])
    return torch.cat([start, step.cumsum(-3)], dim=-3)
