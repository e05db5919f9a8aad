"""Tracks: where a few points of a body are and how they are turned, over time, as worn sensors tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_times, sampling_rate


@dataclass(frozen=True)
class Tracks:
    """Sensors on joints of SMPL's tree.

    Args:
        times: Time of each row [s], shape [T].
        names: The joint of each sensor, N of them.
        positions: Where they are [m], shape [T, N, 3]; NaN where not measured.
        rotations: Global rotations, from the joint's axes into the world's, shape [T, N, 3, 3]; NaN where not measured.
            In the T-pose all are the identity, with x to the person's left, y up and z forward.
        source: Where they come from, for people to read.

    Raises:
        DataError: Shapes do not match, times do not increase, a name comes twice, or a matrix is no rotation.
    """

    times: Array
    names: tuple[str, ...]
    positions: Array
    rotations: Array
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "tracks"))
        object.__setattr__(self, "names", tuple(self.names))
        frames, count = len(self.times), len(self.names)
        if not count:
            raise DataError("tracks: there is no sensor; give at least one joint's rotation or position")
        for name in self.names:
            if self.names.count(name) > 1:
                raise DataError(f"tracks: {name} comes twice; give each joint once")
        positions = as_array(self.positions, (frames, count, 3), "positions of tracks").copy()
        positions[~np.isfinite(positions).all(axis=-1)] = np.nan
        rotations = as_array(self.rotations, (frames, count, 3, 3), "rotations of tracks").copy()
        seen = np.asarray(np.isfinite(rotations).all(axis=(-1, -2)))
        rotations[~seen] = np.nan
        own = np.where(seen[..., None, None], rotations, np.eye(3))
        off = np.abs(own @ own.swapaxes(-1, -2) - np.eye(3)).max(axis=(-1, -2))
        wrong = (off > 1e-3) | (np.linalg.det(own) < 0)
        if wrong.any():
            frame, which = (int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"tracks: the matrix of {self.names[which]} in row {frame + 1} is no rotation; give orthonormal ones"
            )
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "rotations", rotations)

    @property
    def rate(self) -> float:
        """Rows per second; NaN for a single row."""
        return sampling_rate(self.times)

    @property
    def there(self) -> NDArray[np.bool_]:
        """Where a position was measured, shape [T, N]."""
        return np.asarray(np.isfinite(self.positions[..., 0]))

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Where a rotation was measured, shape [T, N]."""
        return np.asarray(np.isfinite(self.rotations[..., 0, 0]))
