"""What a wrapping routine returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Outcome(Enum):
    """What a line does at a surface: passes it, starts or ends inside it, may wrap, or must wrap."""

    NONE = 0
    INSIDE = 1
    POSSIBLE = 2
    MANDATORY = 3


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A path over a surface.

    Args:
        outcome: Whether and how surely the line wraps.
        first: Where the path meets the surface, in its axes [m], shape [3].
        last: Where it leaves it [m], shape [3].
        length: Length on the surface [m].
    """

    outcome: Outcome
    first: Array = field(default_factory=lambda: np.zeros(3))
    last: Array = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0

    @property
    def wraps(self) -> bool:
        """Whether there is a path on the surface."""
        return self.outcome in (Outcome.POSSIBLE, Outcome.MANDATORY)


MISSED = Wrapped(Outcome.NONE)
INSIDE = Wrapped(Outcome.INSIDE)


def unit(vector: Array) -> Array:
    """The vector at length 1; zero stays zero."""
    size = float(np.linalg.norm(vector))
    return vector / size if size > 0 else vector


def side(value: float) -> int:
    """1 for zero and above, -1 below."""
    return 1 if value >= 0 else -1


def angle_between(a: Array, b: Array) -> float:
    """Angle between two vectors [rad]."""
    cosine = float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))
