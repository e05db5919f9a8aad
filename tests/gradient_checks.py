"""Gradients held to central differences."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from known_rotations import seeded


def checked_gradients(function: Any, inputs: list[Tensor], *, step: float, entries: int = 0) -> None:
    """Gradients of weighted outputs against central differences to 1e-6, along a direction and entry by entry."""
    inputs = [x.clone().requires_grad_() for x in inputs]
    outputs = function(*inputs)
    weights = [seeded(*y.shape, seed=50 + k) / y.detach().abs().mean() for k, y in enumerate(outputs)]
    total = torch.stack([(w * y).sum() for w, y in zip(weights, outputs, strict=True)]).sum()
    gradients = torch.autograd.grad(total, inputs)

    def slope(k: int, direction: Tensor) -> float:
        sides = []
        with torch.no_grad():
            for sign in (1, -1):
                sides.append(function(*(x + sign * step * direction if i == k else x for i, x in enumerate(inputs))))
        # Differences first: sums over frames that do not change would only add rounding
        return sum(float((w * (b - a)).sum()) for w, b, a in zip(weights, *sides, strict=True)) / (2 * step)

    for k, gradient in enumerate(gradients):
        direction = seeded(*gradient.shape, seed=80 + k)
        assert float((gradient * direction).sum()) == pytest.approx(slope(k, direction), rel=1e-6), k
        chosen = torch.randperm(gradient.numel(), generator=torch.Generator().manual_seed(k))[:entries]
        for i in chosen.tolist():
            one = torch.zeros(gradient.numel(), dtype=torch.float64).index_fill(0, torch.tensor([i]), 1.0)
            found = float(gradient.flatten()[i])
            scale = float(gradient.abs().mean())
            assert found == pytest.approx(slope(k, one.reshape(gradient.shape)), rel=1e-6, abs=1e-6 * scale), (k, i)
