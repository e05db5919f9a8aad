"""Force plates: from the channels of a C3D file to wrenches on the body, in any frame.

Formulae after the C3D format's user guide (Motion Lab Systems 2008, the FORCE_PLATFORM group) and, for plates of type
3, Kistler's own (multicomponent force plates, formulae sheet); checked against ezc3d's force platform filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHANNELS = {1: 6, 2: 6, 3: 8, 4: 6}
"""Plate types that are understood, and how many channels each has."""
UNLOADED = 20.0
"""Vertical force under which a centre of pressure means nothing [N]."""


@dataclass(frozen=True)
class PlateRecord:
    """What one force plate measured, as the wrench **on** the body, in ground (Y up).

    Args:
        name: The plate's name, ``plate_1`` and so on in the file's order.
        corners: Corners of the surface in the file's order [m], shape [4, 3].
        times: Time of each sample [s], shape [T].
        force: Force on the body [N], shape [T, 3].
        moment: Moment on the body about the ground origin [N·m], shape [T, 3].
    """

    name: str
    corners: Array
    times: Array
    force: Array
    moment: Array

    def center_of_pressure(self, *, threshold: float = UNLOADED) -> Array:
        """Where the force acts on the plate's surface [m], shape [T, 3]; NaN under ``threshold`` [N] of normal force.

        It is the point on the surface's plane about which the moment has no part along the plane.
        """
        axes = plate_axes(self.corners)
        center = self.corners.mean(axis=0)
        force = self.force @ axes
        about_center = (self.moment - np.cross(center, self.force)) @ axes
        normal = np.where(np.abs(force[:, 2]) >= threshold, force[:, 2], np.nan)
        local = np.stack([-about_center[:, 1] / normal, about_center[:, 0] / normal, np.zeros(len(normal))], axis=1)
        result: Array = center + local @ axes.T
        return result


def plate_axes(corners: Array) -> Array:
    """The plate's own axes as columns, shape [3, 3]: x and y in its surface, z their cross product (down, as a rule).

    Seen along z, corner 1 is at +x +y, then -x +y, -x -y, +x -y (C3D user guide, FORCE_PLATFORM:CORNERS).

    Args:
        corners: Corners in order [m], shape [4, 3].

    Raises:
        ValueError: The corners span no area.
    """
    along_x = corners[0] + corners[3] - corners[1] - corners[2]
    along_y = corners[0] + corners[1] - corners[2] - corners[3]
    normal = np.cross(along_x, along_y)
    if not np.isfinite(normal).all() or np.linalg.norm(normal) < 1e-6:
        raise ValueError("its corners span no area")
    x, z = along_x / np.linalg.norm(along_x), normal / np.linalg.norm(normal)
    return np.stack([x, np.cross(z, x), z], axis=1)


def plate_wrench(kind: int, channels: Array, origin: Array, corners: Array) -> tuple[Array, Array]:
    """Force and moment about the file's origin, with the sign that the plate reports.

    Args:
        kind: Type of the plate; type 4 is given here after its calibration matrix, and equals type 2 then.
        channels: Calibrated channels, shape [T, 6], or [T, 8] for type 3. Type 1: three forces [N], centre of pressure
            x and y [m], free moment [N·m]. Types 2 and 4: three forces [N] and three moments about the transducer
            [N·m]. Type 3: fx12, fx34, fy14, fy23, fz1 to fz4 [N].
        origin: FORCE_PLATFORM:ORIGIN [m], shape [3]. Types 2 and 4: from the transducer to the surface's centre. Type
            3: half the sensors' distances along x and y, and from the sensors' plane to the surface.
        corners: Corners in order [m], shape [4, 3].

    Returns:
        Force [N] and moment about the origin of the frame that ``corners`` are in [N·m], each of shape [T, 3].

    Raises:
        ValueError: The type is not understood, or the corners span no area.
    """
    axes = plate_axes(corners)
    if kind == 1:
        force = channels[:, :3]
        point = np.column_stack([channels[:, 3:5], np.zeros(len(channels))])
        moment = np.cross(point, force)
        moment[:, 2] += channels[:, 5]
    elif kind in (2, 4):
        force = channels[:, :3]
        moment = channels[:, 3:6] + np.cross(force, _upward(origin))
    elif kind == 3:
        fx12, fx34, fy14, fy23, fz1, fz2, fz3, fz4 = channels[:, :8].T
        a, b = np.abs(origin[:2])
        force = np.stack([fx12 + fx34, fy14 + fy23, fz1 + fz2 + fz3 + fz4], axis=1)
        moment = np.stack(
            [b * (fz1 + fz2 - fz3 - fz4), a * (-fz1 + fz2 + fz3 - fz4), b * (fx34 - fx12) + a * (fy14 - fy23)], axis=1
        )
        moment = moment + np.cross(force, np.array([0.0, 0.0, -abs(origin[2])]))
    else:
        raise ValueError(f"plates of type {kind} are not supported")
    force_out: Array = force @ axes.T
    moment_out: Array = moment @ axes.T + np.cross(corners.mean(axis=0), force_out)
    return force_out, moment_out


def _upward(origin: Array) -> Array:
    """The way from the transducer up to the surface; some systems write it the other way round.

    The plate's z points down and the transducer lies under the surface, so that the way up has a negative z (C3D user
    guide; Vicon Nexus writes the opposite vector, which ezc3d and Mokka turn round in the same way).
    """
    return -origin if origin[2] > 0 else origin


def without_baseline(channels: Array, first: int, last: int) -> Array:
    """Channels less their mean over the samples ``first`` to ``last`` (exclusive), shape as given."""
    result: Array = channels - channels[first:last].mean(axis=0)
    return result
