"""Cameras: where they stand and how they map space to pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from motorque.errors import DataError
from motorque.series._checks import Array, as_array


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with lens distortion, in OpenCV's convention: x to the right, y down, z ahead.

    Args:
        name: Its name.
        size: Width and height of its picture [px].
        matrix: Focal lengths and principal point [px], shape [3, 3]: ((fx, skew, cx), (0, fy, cy), (0, 0, 1)).
        rotation: Rotation from ground to the camera's axes, shape [3, 3].
        translation: Ground's origin in the camera's axes [m], shape [3]: x_camera = rotation x_ground + translation.
        distortion: OpenCV's coefficients k1, k2, p1, p2, k3 (and k4 to k6), 0, 4, 5 or 8 of them; for a fisheye lens
            its four.
        fisheye: Whether the coefficients are those of OpenCV's fisheye model.
    """

    name: str
    size: tuple[int, int]
    matrix: Array
    rotation: Array = field(default_factory=lambda: np.eye(3))
    translation: Array = field(default_factory=lambda: np.zeros(3))
    distortion: Array = field(default_factory=lambda: np.zeros(0))
    fisheye: bool = False

    def __post_init__(self) -> None:
        what = f"camera {self.name}"
        object.__setattr__(self, "matrix", as_array(self.matrix, (3, 3), f"{what} matrix"))
        object.__setattr__(self, "rotation", as_array(self.rotation, (3, 3), f"{what} rotation"))
        object.__setattr__(self, "translation", as_array(self.translation, (3,), f"{what} translation"))
        distortion = np.asarray(self.distortion, dtype=np.float64).ravel()
        if len(distortion) not in ((0, 4) if self.fisheye else (0, 4, 5, 8)) or not np.isfinite(distortion).all():
            raise DataError(f"{what}: {len(distortion)} distortion coefficients; give 0, 4, 5 or 8 (4 for a fisheye)")
        object.__setattr__(self, "distortion", distortion)
        if not np.allclose(self.rotation @ self.rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(self.rotation) < 0:
            raise DataError(f"{what}: its rotation is none (it must be orthogonal with determinant 1)")
        if not (self.matrix[0, 0] > 0 and self.matrix[1, 1] > 0):
            raise DataError(f"{what}: focal lengths must be positive")
        if not np.isfinite(self.translation).all():
            raise DataError(f"{what}: its translation is not a number")

    @property
    def center(self) -> Array:
        """Where the camera stands, in ground [m], shape [3]."""
        return -self.rotation.T @ self.translation
