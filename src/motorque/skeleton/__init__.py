"""The body as data: bodies, joints, coordinates, markers, contacts, anthropometry."""

# The functions `fullbody` and `smpl` hide the modules of the same names, which are imported here once and for all, so
# that no later import of these modules can take the functions' places.
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import (
    GROUND,
    ContactSphere,
    Coordinate,
    Coupler,
    Element,
    Joint,
    Marker,
    PointConstraint,
    Skeleton,
)
from motorque.skeleton.smpl import smpl, smpl_positions

__all__ = [
    "GROUND",
    "ContactSphere",
    "Coordinate",
    "Coupler",
    "Element",
    "Joint",
    "Marker",
    "PointConstraint",
    "Skeleton",
    "fullbody",
    "smpl",
    "smpl_positions",
]
