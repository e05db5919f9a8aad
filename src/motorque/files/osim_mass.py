"""Masses and inertias of a scaled model, as OpenSim 4.6 scales them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.files.osim_edit import set_numbers
from motorque.files.xml import Node, numbers, objects
from motorque.journal import Journal
from motorque.series import Scales

Array = NDArray[np.float64]
MASSLESS = 2.220446049250313e-16
EQUAL = 1e-13  # relative difference under which factors count as equal
OLD_TAGS = ("inertia_xx", "inertia_yy", "inertia_zz", "inertia_xy", "inertia_xz", "inertia_yz")


def scale_masses(model: Node, scales: Scales, mass: float | None, preserve: bool, journal: Journal) -> None:
    """Scale the bodies' masses and inertias in place.

    Args:
        model: The ``Model`` element.
        scales: Factors by body.
        mass: Total mass after scaling [kg], or None.
        preserve: Whether bodies keep their shares of the mass; else each grows with its volume first.
        journal: Where the masses are recorded.
    """
    bodies = [b for b in objects(model.find("BodySet")) if (b.get("name") or "").strip() != "ground"]
    before = [float(numbers(b, "mass", 1, (0.0,))[0]) for b in bodies]
    masses, inertias = [], []
    for body, unscaled in zip(bodies, before, strict=True):
        factors = scales.of((body.get("name") or "").strip())
        growth = 1.0 if preserve else float(abs(np.prod(factors)))
        masses.append(unscaled * growth)
        inertias.append(scaled_inertia(_inertia(body), unscaled, factors, growth))
    total = float(sum(masses))
    if mass is not None and total > 0:
        share = mass / total
        masses = [m * share for m in masses]
        inertias = [i * share for i in inertias]
    journal.info(f"mass of the model: {sum(before):.2f} kg before scaling, {sum(masses):.2f} kg after", "scale")
    for body, value, inertia in zip(bodies, masses, inertias, strict=True):
        set_numbers(body, "mass", value)
        _set_inertia(body, inertia)


def scaled_inertia(inertia: Array, mass: float, factors: Array, growth: float) -> Array:
    """The inertia of a stretched body.

    Equal factors scale it exactly. Otherwise the body counts as a cylinder along the axis of its smallest moment, whose
    length and radius are scaled (OpenSim 4.6, ``Body::scaleInertialProperties``).

    Args:
        inertia: Inertia about the centre of mass [kg·m²], shape [3, 3].
        mass: Mass before scaling [kg].
        factors: Scale factors, shape [3].
        growth: Mass after over mass before.
    """
    new_mass = mass * growth
    if new_mass <= MASSLESS:
        return np.zeros((3, 3))
    if np.allclose(factors, factors[0], rtol=EQUAL, atol=0.0):
        return inertia * growth * factors[0] ** 2
    moments = np.diag(inertia)
    axis = int(np.argmin(moments))
    other = 1 if axis == 0 else 0
    radius_square = max(2.0 * moments[axis] / mass, 0.0)
    length_square = max(12.0 * (moments[other] - 0.25 * mass * radius_square) / mass, 0.0)
    across = [k for k in range(3) if k != axis]
    radius_square *= factors[across[0]] * factors[across[1]]
    length_square *= factors[axis] ** 2
    out = inertia * np.outer(factors, factors) * growth
    for k in range(3):
        out[k, k] = new_mass * (0.5 * radius_square if k == axis else length_square / 12.0 + 0.25 * radius_square)
    return np.asarray(out)


def _inertia(body: Node) -> Array:
    if body.find("inertia") is not None:
        xx, yy, zz, xy, xz, yz = numbers(body, "inertia", 6)
    else:
        xx, yy, zz, xy, xz, yz = (float(numbers(body, tag, 1, (0.0,))[0]) for tag in OLD_TAGS)
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def _set_inertia(body: Node, inertia: Array) -> None:
    values = [inertia[0, 0], inertia[1, 1], inertia[2, 2], inertia[0, 1], inertia[0, 2], inertia[1, 2]]
    if body.find("inertia") is not None:
        set_numbers(body, "inertia", values)
        return
    for tag, value in zip(OLD_TAGS, values, strict=True):
        if body.find(tag) is not None or value != 0.0:
            set_numbers(body, tag, value)
