"""Stretching a skeleton to a person: lengths by body and axis, masses and inertias with them."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.series import Scales
from motorque.skeleton.skeleton import GROUND, Skeleton


def scale_lengths(skeleton: Skeleton, factors: Tensor) -> Skeleton:
    """The skeleton with every length multiplied by its body's factors; masses stay, inertias follow the lengths.

    Joint frames move with the body that carries them; translations inside a joint scale with the body that carries its
    parent frame, along their axes, as OpenSim's custom joints do.

    Args:
        skeleton: The skeleton.
        factors: Scale factor of each body and axis, shape [B, 3]; may carry gradients.
    """
    ones = torch.ones(1, 3, dtype=factors.dtype, device=factors.device)
    carrier = torch.tensor(
        [
            body if joint.reversed else parent
            for body, (joint, parent) in enumerate(zip(skeleton.joints, skeleton.parents, strict=True))
        ]
    )
    other = torch.tensor(
        [
            parent if joint.reversed else body
            for body, (joint, parent) in enumerate(zip(skeleton.joints, skeleton.parents, strict=True))
        ]
    )
    table = torch.cat([factors, ones])  # ground, index -1, is never scaled
    along = skeleton.parent_rotation @ skeleton.translation_axes.transpose(-1, -2)
    stretch = (along.square() * table[carrier][:, :, None]).sum(-2)
    spheres = tuple(
        dataclasses.replace(
            s,
            center=_stretched(s.center, table[s.body]),
            radius=float(s.radius * table[s.body].mean()),
        )
        for s in skeleton.contact_spheres
    )
    points = tuple(
        dataclasses.replace(
            c,
            point_1=_stretched(c.point_1, table[c.body_1]),
            point_2=_stretched(c.point_2, table[c.body_2]),
        )
        for c in skeleton.point_constraints
    )
    return dataclasses.replace(
        skeleton,
        mass_center=skeleton.mass_center * factors,
        inertia=_scaled_inertia(skeleton.inertia, factors),
        parent_position=skeleton.parent_position * table[carrier],
        child_position=skeleton.child_position * table[other],
        translation_scale=skeleton.translation_scale * stretch,
        marker_position=skeleton.marker_position * table[skeleton.marker_body],
        contact_spheres=spheres,
        point_constraints=points,
    )


def _stretched(point: tuple[float, float, float], factors: Tensor) -> tuple[float, float, float]:
    """A point of a body with each of its three coordinates multiplied by its factor."""
    x, y, z = (p * f for p, f in zip(point, factors.tolist(), strict=True))
    return x, y, z


def _scaled_inertia(inertia: Tensor, factors: Tensor) -> Tensor:
    """Inertia of the same mass stretched along the body's axes.

    With the second moments E = tr(I)/2·1 − I of the mass distribution, stretching by S gives S E S.
    """
    eye = torch.eye(3, dtype=inertia.dtype, device=inertia.device)
    trace = inertia.diagonal(dim1=-1, dim2=-2).sum(-1)[:, None, None]
    second = 0.5 * trace * eye - inertia
    stretched = factors[:, :, None] * second * factors[:, None, :]
    return stretched.diagonal(dim1=-1, dim2=-2).sum(-1)[:, None, None] * eye - stretched


def set_mass(skeleton: Skeleton, mass: float) -> Skeleton:
    """The skeleton with all masses and inertias multiplied so that the whole weighs ``mass`` [kg].

    Raises:
        DataError: The mass is not positive.
    """
    if not mass > 0:
        raise DataError(f"the body mass must be positive, got {mass:g} kg")
    ratio = mass / skeleton.total_mass()
    return dataclasses.replace(skeleton, mass=skeleton.mass * ratio, inertia=skeleton.inertia * ratio)


def apply_scales(skeleton: Skeleton, scales: Scales, *, mass: float | None = None) -> Skeleton:
    """The skeleton stretched by named factors and, if a mass is given, brought to it [kg]."""
    factors = torch.ones(len(skeleton.body_names), 3, dtype=skeleton.mass.dtype)
    for name in scales.bodies:
        body = skeleton.body(name)
        if body != GROUND:
            factors[body] = torch.as_tensor(scales.of(name), dtype=factors.dtype)
    scaled = scale_lengths(skeleton, factors)
    return scaled if mass is None else set_mass(scaled, mass)
