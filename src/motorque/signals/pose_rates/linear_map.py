"""Linear maps of whole recordings, computed by NumPy and SciPy, within torch's graph.

The derivative of a linear map is its transpose and the derivative of that the map again, so that derivatives of any
order cost no more than the map.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


class LinearMap(Protocol):
    """A matrix that is never written down."""

    def forward(self, x: Array) -> Array:
        """The map of columns, [inputs, C] to [outputs, C]."""
        ...

    def backward(self, y: Array) -> Array:
        """Its transpose, [outputs, C] to [inputs, C]."""
        ...


def apply_map(linear: LinearMap, x: Tensor) -> Tensor:
    """A linear map of columns, in double precision on the CPU, with gradients; [inputs, C] to [outputs, C]."""
    found: Tensor = _Apply.apply(linear, False, x)
    return found


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, linear: LinearMap, transposed: bool, x: Tensor) -> Tensor:
        ctx.linear, ctx.transposed = linear, transposed
        values = x.detach().to(device="cpu", dtype=torch.float64).numpy()
        found = linear.backward(values) if transposed else linear.forward(values)
        return torch.from_numpy(np.ascontiguousarray(found)).to(device=x.device, dtype=x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _Apply.apply(ctx.linear, not ctx.transposed, gradients[0])
