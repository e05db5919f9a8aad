"""Random motions for the compiled back end, how far an answer is off, and skeletons that carry gradients."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from motorque.skeleton.skeleton import Skeleton


def motion(skeleton: Skeleton, frames: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    source = torch.Generator().manual_seed(seed)
    size = [(frames, skeleton.nq), (frames, skeleton.nv), (frames, skeleton.nv)]
    return [
        torch.randn(*s, generator=source, dtype=torch.float64).to(dtype) * f
        for s, f in zip(size, (0.5, 1, 3), strict=True)
    ]


def relative(found: Tensor, wanted: Tensor) -> float:
    """Largest error over each sample's largest component."""
    wanted = wanted.double()
    return float(((found.double() - wanted).abs().amax(-1) / wanted.abs().amax(-1)).max())


def with_gradients(skeleton: Skeleton, names: tuple[str, ...]) -> tuple[Skeleton, list[Tensor]]:
    fields = {name: getattr(skeleton, name).clone().requires_grad_() for name in names}
    return dataclasses.replace(skeleton, **fields), list(fields.values())
