"""What the network is told of a recording: the person as seen by a camera turned towards them, in their own size.

The focal length is unknown, so a nominal one serves; the direction in which the person is seen and their size in the
picture are given too, and the network learns how much perspective they mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.synthesis.people import LANDMARK_NAMES

NOMINAL_FOCAL = 0.8
"""Focal length in parts of the picture's long side: about 64 degrees, a phone's main camera."""
RATE = 30.0
"""Frames per second that the network sees."""
_CENTRE_WIDTH, _SIZE_WIDTH = 5.0, 12.0
"""Over how many frames the person's place and size are smoothed (standard deviation of a Gaussian)."""
_TRUNK = tuple(LANDMARK_NAMES.index(f"{part}_{side}") for part in ("shoulder", "hip") for side in "rl")

WIDTH = 4 * len(LANDMARK_NAMES) + 6
"""Number of features of a frame."""


@dataclass(frozen=True, eq=False)
class Features:
    """N recordings as the network sees them.

    Args:
        values: Shape [N, T, WIDTH].
        turn: Rotation from the camera's axes to those of the camera that is turned towards the person, [N, T, 3, 3].
    """

    values: Tensor
    turn: Tensor


def features(points: Tensor, confidence: Tensor, size: Tensor) -> Features:
    """Features of recordings at 30 frames per second.

    Args:
        points: Landmarks in the picture [px], in the order of ``LANDMARK_NAMES``, shape [N, T, K, 2]; NaN where one was
            not found.
        confidence: 0 to 1, shape [N, T, K].
        size: Width and height of the picture [px], shape [N, 2].
    """
    found = torch.isfinite(points).all(-1)
    ray = (points - 0.5 * size[:, None, None]) / (NOMINAL_FOCAL * size.amax(-1))[:, None, None, None]
    ray = filled(ray, found)
    centre = smoothed(ray[..., _TRUNK, :].mean(-2), _CENTRE_WIDTH)
    turn = _towards(centre)
    ahead = torch.cat([ray, torch.ones_like(ray[..., :1])], -1) @ turn.transpose(-1, -2)
    seen = ahead[..., :2] / ahead[..., 2:].clamp(min=0.2)
    extent = smoothed(seen.square().sum(-1).mean(-1, keepdim=True).sqrt().clamp(min=1e-4), _SIZE_WIDTH)
    moved = torch.zeros_like(centre)
    moved[:, 1:] = RATE * centre.diff(dim=1) / extent[:, 1:]
    grown = torch.zeros_like(extent)
    grown[:, 1:] = RATE * extent.log().diff(dim=1)
    certain = torch.where(found, confidence, 0.0)
    values = torch.cat(
        [
            (seen / extent[..., None]).flatten(-2),
            2 * certain - 1,
            found.to(ray.dtype),
            2 * centre,
            extent.log() + 1.6,
            grown,
            moved,
        ],
        -1,
    )
    return Features(values, turn)


def filled(values: Tensor, found: Tensor) -> Tensor:
    """Values [N, T, K, C] with those not found replaced: linear in time between found ones, the nearest beyond them.

    A landmark that is never found gets the mean of what is found in that frame, or 0 where nothing is.
    """
    if bool(found.all()):
        return values
    frames = values.shape[1]
    now = torch.arange(frames)[None, :, None]
    before = torch.where(found, now, -1).cummax(1).values
    after = torch.where(found, now, frames).flip(1).cummin(1).values.flip(1)
    first, last = torch.where(before < 0, after, before), torch.where(after >= frames, before, after)
    never = ~found.any(1, keepdim=True)
    first, last = first.clamp(0, frames - 1), last.clamp(0, frames - 1)
    share = ((now - first) / (last - first).clamp(min=1)).clamp(0, 1)[..., None].to(values.dtype)

    def take(index: Tensor) -> Tensor:
        return values.gather(1, index[..., None].expand(values.shape))

    between = (1 - share) * take(first) + share * take(last)
    between = torch.where(never[..., None], torch.nan, between)
    middle = between.nanmean(2, keepdim=True).nan_to_num(0.0)
    return torch.where(torch.isfinite(between), between, middle)


def smoothed(values: Tensor, width: float) -> Tensor:
    """Values [N, T, C] under a Gaussian of this standard deviation [frames], cut off at the recording's ends."""
    reach = int(3 * width)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=values.dtype) / width).square())
    count, frames, channels = values.shape
    flat = values.transpose(1, 2).reshape(count * channels, 1, frames)
    total = torch.nn.functional.conv1d(flat, kernel[None, None], padding=reach)
    share = torch.nn.functional.conv1d(torch.ones_like(flat[:1]), kernel[None, None], padding=reach)
    return (total / share).reshape(count, channels, frames).transpose(1, 2)


def _towards(centre: Tensor) -> Tensor:
    """The smallest rotations that bring rays (x, y, 1) onto the optical axis; shape [N, T, 2] to [N, T, 3, 3]."""
    ray = torch.nn.functional.normalize(torch.cat([centre, torch.ones_like(centre[..., :1])], -1), dim=-1)
    x, y, z = ray.unbind(-1)
    # R = 1 + [v] + [v]² / (1 + z), v = ray × axis (Rodrigues for the rotation between two unit vectors)
    k = 1 / (1 + z)
    rows = (1 - k * x * x, -k * x * y, -x, -k * x * y, 1 - k * y * y, -y, x, y, z)
    return torch.stack(rows, -1).unflatten(-1, (3, 3))
