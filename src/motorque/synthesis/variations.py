"""The same motion as another person would do it: mirrored, faster, larger, held differently."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from motorque.skeleton.fullbody import fullbody
from motorque.synthesis.key_poses import mirrored, stem
from motorque.synthesis.people import LANDMARK_NAMES, generic_people
from motorque.synthesis.smooth_noise import smooth_noise

SPEED = (0.7, 1.4)
"""Slowest and fastest course against the original."""

# How differently people hold themselves, by coordinate without side: constant for a recording, what both sides share
# and each side's own; and what changes slowly within it [degrees].
_OFFSETS: dict[str, tuple[float, float, float]] = {
    "pelvis_tilt": (5.0, 0.0, 1.5), "pelvis_list": (2.0, 0.0, 1.0), "lumbar_extension": (6.0, 0.0, 2.0),
    "lumbar_bending": (2.5, 0.0, 1.5), "lumbar_rotation": (3.0, 0.0, 2.0), "hip_flexion": (3.0, 2.0, 1.5),
    "hip_adduction": (2.5, 2.0, 1.5), "hip_rotation": (5.0, 5.0, 2.0), "knee_angle": (3.0, 2.0, 1.5),
    "ankle_angle": (4.0, 3.0, 2.0), "subtalar_angle": (2.0, 4.0, 3.0), "mtp_angle": (2.0, 3.0, 3.0),
    "arm_flex": (6.0, 5.0, 3.0), "arm_add": (6.0, 4.0, 3.0), "arm_rot": (12.0, 8.0, 5.0),
    "elbow_flex": (6.0, 5.0, 3.0), "pro_sup": (20.0, 10.0, 5.0),
}  # fmt: skip


def window(q: Tensor, frames: int, generator: torch.Generator) -> Tensor:
    """A stretch of a motion at a random speed, from a random frame on.

    Args:
        q: Coordinates [rad or m] at the rate that is wanted, shape [T, nq].
        frames: Number of frames that are wanted; if the motion is too short, it goes back and forth.
        generator: Where the randomness comes from.

    Returns:
        Shape [frames, nq].
    """
    low, high = SPEED
    speed = low * (high / low) ** float(torch.rand((), generator=generator))
    last = len(q) - 1
    room = max(last - speed * (frames - 1), 0.0)
    at = room * float(torch.rand((), generator=generator)) + speed * torch.arange(frames, dtype=q.dtype)
    if room == 0.0 and last > 0:
        at = last - (torch.remainder(at, 2 * last) - last).abs()
    below = at.floor().clamp(0, max(last - 1, 0)).long()
    return torch.lerp(q[below], q[(below + 1).clamp(max=last)], (at - below)[:, None])


def varied(q: Tensor, generator: torch.Generator) -> Tensor:
    """Motions done by somebody else: random offsets and amplitudes of the angles, every second one mirrored.

    The root follows so that the lowest point of the feet is as high as it was.

    Args:
        q: Coordinates of the built-in skeleton [rad or m], shape [N, T, nq].
        generator: Where the randomness comes from.
    """
    count, frames, width = q.shape
    names = fullbody().coordinate_names
    before = _lowest(q)
    shared, own, slow = _spreads()
    size = torch.randn(count, 1, width, generator=generator)
    together = torch.randn(count, 1, width, generator=generator)
    for index, name in enumerate(names):
        if name.endswith("_l"):
            right = names.index(f"{name[:-2]}_r")
            together[..., index], size[..., index] = together[..., right], size[..., right]
    moves = (shared > 0).float()
    middle = q.mean(1, keepdim=True)
    amount = 1 + moves * (torch.exp(0.12 * size) - 1)
    varied = middle + amount * (q - middle)
    varied = varied + shared * together + own * torch.randn(count, 1, width, generator=generator)
    tau = 6 + 20 * torch.rand(count, generator=generator)
    varied = varied + slow * smooth_noise((count, frames, width), tau, generator)
    for side in "rl":  # knees and elbows do not bend backwards
        bent = [names.index(f"knee_angle_{side}"), names.index(f"elbow_flex_{side}")]
        varied[..., bent] = varied[..., bent].clamp(min=-0.03)
    height = names.index("pelvis_ty")
    varied[..., height] += before - _lowest(varied)
    flip = torch.rand(count, generator=generator) < 0.5
    return torch.where(flip[:, None, None], mirrored(varied), varied)


@cache
def _spreads() -> tuple[Tensor, Tensor, Tensor]:
    rows = [_OFFSETS.get(stem(name), (0.0, 0.0, 0.0)) for name in fullbody().coordinate_names]
    shared, own, slow = torch.deg2rad(torch.tensor(rows)).T
    return shared, own, slow


def _lowest(q: Tensor) -> Tensor:
    """Height of the lowest end of the feet of the generic person [m], shape [N, T]."""
    feet = [index for index, name in enumerate(LANDMARK_NAMES) if name.startswith(("heel", "toe"))]
    return generic_people(len(q)).landmarks(q)[..., feet, 1].amin(-1)
