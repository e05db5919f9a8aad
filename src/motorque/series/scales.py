"""Scales: how a generic skeleton is stretched to fit a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names


@dataclass(frozen=True)
class Scales:
    """One factor per body and axis of that body's frame.

    Args:
        bodies: Body names, B of them.
        factors: Scale factors [-], shape [B, 3], positive.
        std: Standard deviations [-], shape [B, 3], or None.
    """

    bodies: tuple[str, ...]
    factors: Array
    std: Array | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "bodies", as_names(self.bodies, "scales"))
        shape = (len(self.bodies), 3)
        object.__setattr__(self, "factors", as_array(self.factors, shape, "scales"))
        if not (np.isfinite(self.factors).all() and (self.factors > 0).all()):
            raise DataError("scales: every factor must be a positive number")
        if self.std is not None:
            object.__setattr__(self, "std", as_array(self.std, shape, "scales std"))

    def of(self, body: str) -> Array:
        """The three factors of a body, ones where it is not listed; shape [3]."""
        return self.factors[self.bodies.index(body)] if body in self.bodies else np.ones(3)
