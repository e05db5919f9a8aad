"""Which landmarks a person's own body hides from the camera."""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.synthesis.people import LANDMARK_NAMES

# Limbs as capsules: ends, each the middle of some landmarks, and radius [m] of an adult.
_LIMBS: tuple[tuple[tuple[str, ...], tuple[str, ...], float], ...] = (
    (("hip_r", "hip_l"), ("shoulder_r", "shoulder_l"), 0.14),
    (("ear_r", "ear_l"), ("ear_r", "ear_l"), 0.09),
    *(
        limb
        for s in "rl"
        for limb in (
            ((f"hip_{s}",), (f"knee_{s}",), 0.07),
            ((f"knee_{s}",), (f"ankle_{s}",), 0.05),
            ((f"shoulder_{s}",), (f"elbow_{s}",), 0.045),
            ((f"elbow_{s}",), (f"wrist_{s}",), 0.035),
        )
    ),
)
BEHIND = 0.07
"""How far behind a limb's axis a landmark must be to be hidden by it [m]: deeper than a joint lies in its own limb."""


def hidden_by_body(pixels: Tensor, depth: Tensor, focal: Tensor) -> Tensor:
    """Landmarks that lie behind one of the person's limbs or the trunk.

    Args:
        pixels: Where the landmarks are in the picture [px], shape [N, T, K, 2].
        depth: How far ahead [m], shape [N, T, K].
        focal: Focal length [px], shape [N].

    Returns:
        Shape [N, T, K], bool.
    """
    place = {name: index for index, name in enumerate(LANDMARK_NAMES)}
    points = torch.cat([pixels, depth[..., None]], -1)

    def end(names: tuple[str, ...]) -> Tensor:
        return torch.stack([points[..., place[name], :] for name in names]).mean(0)

    first = torch.stack([end(a) for a, _, _ in _LIMBS], 2)
    second = torch.stack([end(b) for _, b, _ in _LIMBS], 2)
    radius = torch.tensor([r for _, _, r in _LIMBS])
    along = (second - first)[..., :2]
    apart = points[..., :, None, :2] - first[..., None, :, :2]
    share = ((apart * along[..., None, :, :]).sum(-1) / along.square().sum(-1).clamp(min=1.0)[..., None, :]).clamp(0, 1)
    nearest = first[..., None, :, :] + share[..., None] * (second - first)[..., None, :, :]
    off = (points[..., :, None, :2] - nearest[..., :2]).norm(dim=-1)
    in_the_way = off < radius * focal[:, None, None, None] / nearest[..., 2].clamp(min=0.3)
    return (in_the_way & (points[..., :, None, 2] > nearest[..., 2] + BEHIND)).any(-1)
