"""Published normative bands for the gait-cycle plots, brought to the plots' sign and unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.report.results import Curve

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Norm:
    """Normative mean and standard deviation over the gait cycle.

    Args:
        mean: Shape [101].
        sd: Shape [101].
        per_mass: Whether the values are per body mass where the plot may show both.
        source: Where they were published.
    """

    mean: Array
    sd: Array
    per_mass: bool
    source: str


def norm_for(section: str, curve: Curve) -> Norm | None:
    """The band for a curve, or None where none was published."""
    return None
