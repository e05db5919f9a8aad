"""Surfaces that muscle paths wrap over, and what one straight segment of a path does at one of them.

The conditions under which OpenSim 4.6 lets a path wrap, and the side on which it does, come from SIMM (Delp and Loan
1995, Comput Biol Med 25:21) and are not the geodesic's; lengths here are held to those of the `opensim` wheel in tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from motorque.errors import ModelError
from motorque.mechanics.wrapping_cylinder import wrap_cylinder
from motorque.mechanics.wrapping_ellipsoid import wrap_ellipsoid
from motorque.mechanics.wrapping_sphere import wrap_sphere
from motorque.mechanics.wrapping_torus import wrap_torus
from motorque.mechanics.wrapping_types import Outcome, Wrapped

Array = NDArray[np.float64]


class Method(Enum):
    """How the plane of a path over an ellipsoid is chosen."""

    HYBRID = "hybrid"
    MIDPOINT = "midpoint"
    AXIAL = "axial"


@dataclass(frozen=True, eq=False)
class WrapSurface:
    """A surface fixed to a body.

    Args:
        name: Its name in the model.
        kind: ``cylinder`` and ``torus`` (axis Z), ``sphere`` or ``ellipsoid``.
        body: Index of its body, -1 for ground.
        rotation: Its axes in the body (columns), shape [3, 3].
        position: Its centre in the body [m], shape [3].
        size: Radius and length of a cylinder, radius of a sphere, radii of an ellipsoid, inner and outer radius of a
            torus [m].
        axis: Axis of the half to which wrapping is restricted (0 to 2), meaningless if ``sign`` is 0.
        sign: Which half: 1, -1, or 0 for all of the surface.
        active: Whether paths wrap over it at all.
    """

    name: str
    kind: str
    body: int
    rotation: Array
    position: Array
    size: tuple[float, ...]
    axis: int = 0
    sign: int = 0
    active: bool = True

    def wrap(self, start: Array, end: Array, method: Method, *, alone: bool) -> Wrapped:
        """What the straight line between two points does at this surface.

        Args:
            start: First point, in the surface's axes about its centre [m], shape [3].
            end: Second point [m], shape [3].
            method: How to choose the plane (ellipsoids).
            alone: Whether the path has no other surface (OpenSim then skips the refinement of tangents on cylinders).

        Raises:
            ModelError: The kind of surface is not supported.
        """
        if self.kind == "cylinder":
            return wrap_cylinder(start, end, self.size[0], self.size[1], self.axis, self.sign, refine=not alone)
        if self.kind == "sphere":
            return wrap_sphere(start, end, self.size[0], self.axis, self.sign)
        if self.kind == "ellipsoid":
            return wrap_ellipsoid(start, end, np.asarray(self.size), self.axis, self.sign, method.value)
        if self.kind == "torus":
            return wrap_torus(start, end, self.size[0], self.size[1], self.axis, self.sign, refine=not alone)
        raise ModelError(f"wrap surface {self.name}: paths over a {self.kind} are not supported")


__all__ = ["Method", "Outcome", "WrapSurface", "Wrapped"]
