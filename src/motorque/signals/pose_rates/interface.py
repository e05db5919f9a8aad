"""What every way from sampled poses to their rates is given and answers with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Protocol

import torch
from torch import Tensor

from motorque.errors import DataError


@dataclass(frozen=True, eq=False)
class PoseRates:
    """Poses with their first and second time derivatives, as `mechanics` takes them.

    Args:
        rotation: Rotations of J joints, child to parent, the root's to the world; as given, or smoothed; shape
            [..., T, J, 3, 3].
        translation: The root's [m], shape [..., T, 3].
        angular_velocity: Of each joint's child against its parent, in the **parent's** axes, the root's in the world's
            [rad/s], shape [..., T, J, 3].
        angular_acceleration: Its time derivative, as seen in the parent [rad/s²], shape [..., T, J, 3].
        velocity: The root's [m/s], shape [..., T, 3].
        acceleration: The root's [m/s²], shape [..., T, 3].
    """

    rotation: Tensor
    translation: Tensor
    angular_velocity: Tensor
    angular_acceleration: Tensor
    velocity: Tensor
    acceleration: Tensor


class RateMethod(Protocol):
    """One way to rates."""

    def __call__(self, rotations: Tensor, translation: Tensor, fps: float) -> PoseRates:
        """Rates of poses.

        Args:
            rotations: Joints' rotations, child to parent, shape [..., T, J, 3, 3]. A rotation that is NaN is missing.
            translation: The root's [m], shape [..., T, 3]; NaN where it is missing.
            fps: Frames per second [Hz].

        Raises:
            DataError: Shapes do not fit each other, too few frames, or a frame rate that is none.
        """
        ...


@dataclass(frozen=True, eq=False)
class Samples:
    """Poses, checked, with something harmless in place of what is missing.

    Args:
        rotation: Shape [..., T, J, 3, 3]; the identity where missing.
        translation: Shape [..., T, 3]; zero where missing.
        turned: Which rotations are there, shape [..., T, J]; None for all.
        placed: Which translations are there, shape [..., T]; None for all.
        step: Time between frames [s].
    """

    rotation: Tensor
    translation: Tensor
    turned: Tensor | None
    placed: Tensor | None
    step: float

    def answer(
        self, rotation: Tensor, translation: Tensor, spin: tuple[Tensor, Tensor], slide: tuple[Tensor, Tensor]
    ) -> PoseRates:
        """Rates, NaN at frames that are missing themselves."""
        if self.turned is not None:
            rotation = where_there(self.turned[..., None, None], rotation)
            spin = tuple(where_there(self.turned[..., None], x) for x in spin)  # type: ignore[assignment]
        if self.placed is not None:
            translation = where_there(self.placed[..., None], translation)
            slide = tuple(where_there(self.placed[..., None], x) for x in slide)  # type: ignore[assignment]
        return PoseRates(rotation, translation, *spin, *slide)


def where_there(there: Tensor, x: Tensor) -> Tensor:
    """NaN where something is not there."""
    return torch.where(there, x, torch.full((), float("nan"), dtype=x.dtype, device=x.device))


def samples(rotations: Tensor, translation: Tensor, fps: float, *, least: int = 3) -> Samples:
    """Check what a method is given.

    Args:
        rotations: Shape [..., T, J, 3, 3].
        translation: Shape [..., T, 3].
        fps: Frames per second [Hz].
        least: Fewest frames that the method works with.

    Raises:
        DataError: See :class:`RateMethod`.
    """
    step = 1.0 / checked_rate(fps)
    for name, x in (("rotations", rotations), ("the translation", translation)):
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise DataError(f"poses: {name} must be a tensor of floats, got {type(x).__name__}")
    if rotations.ndim < 4 or rotations.shape[-2:] != (3, 3):
        raise DataError(
            f"poses: rotations must have the shape [..., frames, joints, 3, 3], got {list(rotations.shape)}"
        )
    if translation.shape != (*rotations.shape[:-3], 3):
        raise DataError(
            f"poses: rotations {list(rotations.shape)} want a translation of shape {[*rotations.shape[:-3], 3]}, got "
            f"{list(translation.shape)}"
        )
    if translation.dtype != rotations.dtype or translation.device != rotations.device:
        raise DataError(
            f"poses: rotations are {rotations.dtype} on {rotations.device}, the translation {translation.dtype} on "
            f"{translation.device}; bring one to the other"
        )
    frames = rotations.shape[-4]
    if frames < least:
        raise DataError(f"poses: {frames} frames are too few for accelerations, at least {least} are needed")
    turned, placed = rotations.isfinite().all(-1).all(-1), translation.isfinite().all(-1)
    if bool(turned.all()) and bool(placed.all()):
        return Samples(rotations, translation, None, None, step)
    eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    return Samples(
        torch.where(turned[..., None, None], rotations, eye),
        torch.where(placed[..., None], translation, 0.0),
        turned,
        placed,
        step,
    )


def checked_rate(fps: float) -> float:
    """A frame rate.

    Raises:
        DataError: It is none.
    """
    given: object = fps  # annotations are no guard
    number = math.nan
    if not isinstance(given, bool) and isinstance(given, Real):
        number = float(given)
    if not (math.isfinite(number) and number > 0):
        raise DataError(f"poses: the frame rate must be a positive number of frames per second, got {fps!r}; give fps=")
    return number
