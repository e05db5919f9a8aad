"""The body as data: bodies, joints, coordinates, markers, contacts, anthropometry."""

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
]
