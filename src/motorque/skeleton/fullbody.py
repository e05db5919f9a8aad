"""The built-in full-body skeleton, so that nothing has to be downloaded to analyse a person."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Literal

import numpy as np
import torch

from motorque.errors import DataError
from motorque.skeleton import fullbody_tables as tables
from motorque.skeleton.anthropometry import with_segment_masses
from motorque.skeleton.builder import Attachments, Body, Frame, JointSpec, build_skeleton, euler_xyz
from motorque.skeleton.functions import Linear, scaled
from motorque.skeleton.landmarks import LANDMARKS
from motorque.skeleton.scaling import scale_lengths, set_mass
from motorque.skeleton.skeleton import Coordinate, Element, Skeleton

Sex = Literal["f", "m", "unknown"]

RIGHT_LEG = ("hip_r", "walker_knee_r", "patellofemoral_r", "ankle_r", "subtalar_r", "mtp_r")
RIGHT_ARM = ("acromial_r", "elbow_r", "radioulnar_r", "radius_hand_r")


def fullbody(*, sex: Sex = "unknown", height: float | None = None, mass: float | None = None) -> Skeleton:
    """The built-in skeleton: 22 bodies, 35 coordinates (two of them the patellae's, coupled to the knees), no muscles.

    As it stands it is the generic skeleton of Uhlrich et al. 2022 (a man of 1.70 m and 75.337 kg), number by number;
    names are theirs, so that results open in OpenSim and compare with OpenCap's. It carries every landmark of
    :data:`motorque.skeleton.landmarks.LANDMARKS` as a marker and six contact spheres under each foot.

    Args:
        sex: ``f`` or ``m`` distribute the mass over the segments, and place and shape it in them, as de Leva 1996 found
            for women or men; ``unknown`` keeps the published model's own distribution.
        height: Stature [m]; scales all lengths alike from 1.70 m. Proportions are better found from markers.
        mass: Body mass [kg]; scales all masses alike.

    Raises:
        DataError: A height or mass that no person has, or a sex that is none of the three.
    """
    if sex not in ("f", "m", "unknown"):
        raise DataError(f"sex must be f, m or unknown, got {sex!r}")
    if height is not None and not 0.4 < height < 2.8:
        raise DataError(f"a height of {height:g} m is no person's; give it in metres")
    if mass is not None and not 2.0 < mass < 650.0:
        raise DataError(f"a mass of {mass:g} kg is no person's; give it in kilograms")
    skeleton = _generic()
    if height is not None:
        skeleton = _uniformly_scaled(skeleton, height / tables.GENERIC_HEIGHT)
    if mass is not None:
        skeleton = set_mass(skeleton, mass)
    return skeleton if sex == "unknown" else with_segment_masses(skeleton, mass=skeleton.total_mass(), sex=sex)


@cache
def _generic() -> Skeleton:
    leg = [_joint(name) for name in RIGHT_LEG]
    arm = [_joint(name) for name in RIGHT_ARM]
    joints = [_joint("ground_pelvis"), *leg, *map(_mirrored, leg), _joint("back"), *arm, *map(_mirrored, arm)]
    bodies = [_body(spec.child.body) for spec in joints]
    return build_skeleton(
        tables.NAME,
        bodies,
        joints,
        Attachments(
            markers=[
                (mark.name, Frame(mark.body, np.array(mark.position)), mark.kind != "technical")
                for mark in LANDMARKS.values()
            ],
            couplers=[
                (_side(n, s), _side(d, s), _side(i, s), Linear(1.0, 0.0), 1.0)
                for s in "rl"
                for n, d, i in tables.COUPLERS
            ],
            contact_spheres=[
                (
                    _side(name, s),
                    _side(body, s),
                    _flipped(center) if s == "l" else np.array(center),
                    tables.CONTACT_RADIUS,
                )
                for s in "rl"
                for name, (body, center) in tables.CONTACT_SPHERES.items()
            ],
        ),
    )


def _body(name: str) -> Body:
    left = name.endswith("_l")
    mass, center, inertia = tables.BODIES[_side(name, "r")]
    return Body(name, mass, _flipped(center) if left else np.array(center), np.diag(inertia))


def _joint(name: str) -> JointSpec:
    kind, parent, position, angles, child, child_position, child_angles = tables.JOINTS[name]
    rows = tables.COORDINATES[name]
    if name in tables.AXES:
        axes, driven = tables.AXES[name]
    else:  # a pin turns about z, a weld about nothing
        axes, driven = (tables.X, tables.Y, tables.Z), tables.PIN if rows else tables.WELD
    # As in OpenSim a coordinate is an angle if it is itself the angle of a rotation: the patella's is not.
    coordinates = tuple(
        Coordinate(label, (tables.IDENTITY, i) in driven[:3], default, (low, high), clamped)
        for i, (label, default, low, high, clamped) in enumerate(rows)
    )
    return JointSpec(
        name,
        kind,
        Frame(parent, np.array(position, dtype=float), euler_xyz(angles)),
        Frame(child, np.array(child_position, dtype=float), euler_xyz(child_angles)),
        coordinates,
        tuple(Element(function, coordinate) for function, coordinate in driven),
        np.array(axes),
    )


def _mirrored(spec: JointSpec) -> JointSpec:
    """The left joint: the mirror image in the plane Z = 0 of a right one.

    A rotation about z and translations along x and y are the same in the mirror; rotations about x and y and the
    translation along z are the opposite.
    """

    def frame(right: Frame) -> Frame:
        flip = np.diag([1.0, 1.0, -1.0])
        body = _side(right.body, "l")
        if spec.name == "mtp_r":
            return Frame(body, _flipped(right.position), euler_xyz(tables.MTP_L_ANGLES))
        return Frame(body, _flipped(right.position), flip @ right.rotation @ flip)

    def opposite(element: Element) -> Element:
        return dataclasses.replace(element, function=scaled(element.function, -1.0))

    turns = [e if axis[2] else opposite(e) for e, axis in zip(spec.elements[:3], spec.rotation_axes, strict=True)]
    return JointSpec(
        _side(spec.name, "l"),
        spec.kind,
        frame(spec.parent),
        frame(spec.child),
        tuple(dataclasses.replace(c, name=_side(c.name, "l")) for c in spec.coordinates),
        (*turns, spec.elements[3], spec.elements[4], opposite(spec.elements[5])),
        spec.rotation_axes,
    )


def _flipped(point: object) -> np.ndarray:
    return np.array(point, dtype=float) * (1.0, 1.0, -1.0)


def _side(name: str, side: str) -> str:
    """The name of the same thing on the other side; names of the middle stay."""
    for mark in ("_r", "_l"):
        for tail in ("", "_beta", "_con"):
            if name.endswith(mark + tail):
                stem = name[: -len(mark + tail)]
                return f"{stem}_{side}{tail}"
    return name


def _uniformly_scaled(skeleton: Skeleton, factor: float) -> Skeleton:
    """All lengths times a factor, masses as they are; the pelvis starts that much higher too."""
    scaled = scale_lengths(skeleton, torch.full((len(skeleton.body_names), 3), factor, dtype=skeleton.mass.dtype))
    higher = [
        dataclasses.replace(c, default=c.default * factor) if c.name == "pelvis_ty" else c for c in skeleton.coordinates
    ]
    return dataclasses.replace(scaled, coordinates=tuple(higher))
