"""What the prior is told of the sensors: rotations, how fast they turn, and, in the head variant, where the head is.

As in the paper each joint has 18 numbers a frame: six of its rotation, six of its turning, three of its place, three of
its velocity; zeros where nothing was measured. Two flags a joint say what was, so that a zero is not taken for a
measurement and any subset of sensors will do. Places are told in units of the person's standing length, from the floor
up and along the floor from where the sensor is in the middle of the window: a tall person's head and a short one's are
then told alike, which bare metres, as in the paper, do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.estimators.inpose.tree import RATE, matrices

CHANNELS = 18
"""Numbers per joint and frame."""
TURN_GAIN = 10.0
"""What a turn from frame to frame is multiplied by, so that it is of the size of the rest."""
SPEED_GAIN = 0.5
"""The same for velocities in standing lengths a second."""


@dataclass(frozen=True)
class Conditions:
    """What is known of windows of T frames.

    Args:
        channels: Shape [B, T, 22, 18]: six of the rotation, six of its turning, three of the place, three of its speed.
        seen: Whose rotation is known, bool, shape [B, T, 22].
        placed: Whose place is known, bool, shape [B, T, 22].
    """

    channels: Tensor
    seen: Tensor
    placed: Tensor

    def only(self, seen: Tensor, placed: Tensor) -> Conditions:
        """Without what either flags leave out; shapes as of ``seen`` and ``placed``, or ones that fit them."""
        seen, placed = self.seen & seen, self.placed & placed
        turns, ways = self.channels.split((12, 6), dim=-1)
        return Conditions(torch.cat([turns * seen[..., None], ways * placed[..., None]], dim=-1), seen, placed)

    def none(self) -> Conditions:
        """Nothing known: what classifier-free guidance is against."""
        nothing = torch.zeros((), dtype=torch.bool)
        return self.only(nothing, nothing)

    @property
    def flat(self) -> Tensor:
        """All of it as one row a frame, shape [B, T, 440]."""
        flags = torch.stack([self.seen, self.placed], dim=-1).to(self.channels.dtype)
        return torch.cat([self.channels, flags], dim=-1).flatten(-2)


def conditions(
    columns6: Tensor,
    seen: Tensor,
    *,
    points: Tensor | None = None,
    placed: Tensor | None = None,
    length: Tensor | float = 1.0,
    origin: int | None = None,
) -> Conditions:
    """What there is to know of windows, in a world turned so that they face forward.

    Args:
        columns6: Measured global rotations as six numbers, shape [B, T, 22, 6]; anything where not seen.
        seen: Where they were measured, bool, shape [B, T, 22].
        points: Measured places with the floor at y = 0 [m], shape [B, T, 22, 3]; anything where not placed.
        placed: Where they were measured, bool, shape [B, T, 22]; nowhere by default.
        length: The persons' standing lengths [m] (:func:`motorque.estimators.inpose.tree.standing_length`), shape [B]
            or a number; 1 tells places in metres.
        origin: The joint from whose place in the middle of the window all places are told along the floor, so that they
            also say how far apart sensors are; each from its own by default.

    A turn is measured only where the frame before was seen too; in the first frame, and after a gap, the next one's
    counts.
    """
    batch, frames, joints, _ = columns6.shape
    rotations = torch.where(seen[..., None], columns6, columns6.new_zeros(()))
    turns = torch.where(seen[..., None], _turns(columns6, seen), columns6.new_zeros(()))
    ways = columns6.new_zeros((batch, frames, joints, 6))
    if points is None or placed is None:
        placed = torch.zeros_like(seen)
    else:
        scale = torch.as_tensor(length, dtype=points.dtype).reshape(-1, 1, 1, 1)
        own = torch.where(placed[..., None], points / scale, points.new_zeros(()))
        middle = _middle(own, placed)
        middle = middle if origin is None else middle[:, :, [origin]]
        speed = _between(own[:, 1:] - own[:, :-1], placed) * (RATE * SPEED_GAIN)
        from_middle = own - middle * own.new_tensor((1.0, 0.0, 1.0)) - own.new_tensor((0.0, 1.0, 0.0))
        ways = torch.where(placed[..., None], torch.cat([from_middle, speed], dim=-1), ways)
    return Conditions(torch.cat([rotations, turns, ways], dim=-1), seen, placed)


def _turns(columns6: Tensor, seen: Tensor) -> Tensor:
    """Turn since the frame before, in the body's own axes, less that of a body at rest; shape [B, T, 22, 6]."""
    turn = matrices(torch.where(seen[..., None], columns6, _identity(columns6)))
    since = turn[:, :-1].transpose(-1, -2) @ turn[:, 1:]
    return _between(torch.cat([since[..., 0], since[..., 1]], dim=-1) - _identity(columns6), seen) * TURN_GAIN


def _between(steps: Tensor, there: Tensor) -> Tensor:
    """Steps between frames as of the frame after; of a first frame, or one after a gap, the step to the next one."""
    nothing = steps.new_zeros(())
    both = (there[:, 1:] & there[:, :-1])[..., None]
    steps = torch.where(both, steps, nothing)
    before = torch.cat([torch.zeros_like(steps[:, :1]), steps], dim=1)
    after = torch.cat([steps, torch.zeros_like(steps[:, :1])], dim=1)
    first = torch.cat([torch.ones_like(both[:, :1]), ~both], dim=1)
    return torch.where(first, after, before)


def _middle(own: Tensor, placed: Tensor) -> Tensor:
    """The place in the frame nearest to the middle that has one, shape [B, 1, 22, 3]."""
    away = (torch.arange(own.shape[1]) - (own.shape[1] - 1) / 2).abs()[None, :, None]
    frame = torch.where(placed, away, away.new_tensor(float("inf"))).argmin(dim=1, keepdim=True)
    return own.gather(1, frame[..., None].expand(-1, -1, -1, 3))


def _identity(like: Tensor) -> Tensor:
    return like.new_tensor((1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
