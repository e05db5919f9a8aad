"""Poses: the 24 joint rotations of SMPL's tree over time, and whose they are."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_times, sampling_rate
from motorque.series.markers import within

Up = Literal["y", "z", "-y", "-z"]
JOINTS = 24

ORTHONORMAL = 1e-4
"""How far a rotation times its transpose may be from the identity: matrices from float32 files are off by 1e-6."""


@dataclass(frozen=True)
class Poses:
    """A person's poses on SMPL's tree of 24 joints, in SMPL's order (``motorque.skeleton.smpl.SMPL_JOINTS``).

    A rotation takes the axes of a joint's body into those of its parent's, the root's into the world; the T-pose has
    the identity everywhere, with x to the person's left, y up and z forward.

    Args:
        times: Time of each frame [s], shape [T].
        rotations: Local rotations, shape [T, 24, 3, 3]; a joint that was not seen is NaN in all nine numbers.
        translation: SMPL's ``transl`` in the world of the root's rotation [m], shape [T, 3]: the pelvis is at its rest
            position plus the translation, and at the translation itself where ``joint_positions`` is None.
        up: What is up in that world: ``y`` for SMPL's own, ``z`` as in AMASS, ``-y`` for a level camera's axes.
        sex: ``f``, ``m`` or ``unknown``.
        height: Stature [m], or None if it is not known.
        mass: Body mass [kg], or None if it is not known.
        joint_positions: The person's own rest joints in SMPL's axes [m], shape [24, 3], or None.
        betas: Shape parameters as the file has them, shape [any], or None; they say nothing without their model.
        source: Where the poses come from, for people to read.

    Raises:
        DataError: Shapes do not match, times do not increase, a matrix is no rotation, or a number is no person's.
    """

    times: Array
    rotations: Array
    translation: Array
    up: Up = "y"
    sex: Literal["f", "m", "unknown"] = "unknown"
    height: float | None = None
    mass: float | None = None
    joint_positions: Array | None = None
    betas: Array | None = None
    source: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "poses"))
        frames = len(self.times)
        rotations = as_array(self.rotations, (frames, JOINTS, 3, 3), "rotations of poses").copy()
        rotations[~np.isfinite(rotations).all(axis=(2, 3))] = np.nan
        _check_rotations(rotations)
        translation = as_array(self.translation, (frames, 3), "translation of poses").copy()
        translation[~np.isfinite(translation).all(axis=1)] = np.nan
        object.__setattr__(self, "rotations", rotations)
        object.__setattr__(self, "translation", translation)
        if self.up not in get_args(Up):
            raise DataError(f"poses: up must be y, z, -y or -z, got {self.up!r}")
        if self.sex not in ("f", "m", "unknown"):
            raise DataError(f"poses: sex must be f, m or unknown, got {self.sex!r}")
        for name in ("height", "mass"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise DataError(f"poses: a {name} must be a positive number, got {value}")
        if self.joint_positions is not None:
            joints = as_array(self.joint_positions, (JOINTS, 3), "rest joints of poses")
            if not np.isfinite(joints).all():
                raise DataError("poses: a rest joint's position is not a number")
            object.__setattr__(self, "joint_positions", joints)
        if self.betas is not None:
            object.__setattr__(self, "betas", np.asarray(self.betas, dtype=np.float64).ravel())

    @classmethod
    def from_rotation_vectors(
        cls,
        vectors: Array,
        translation: Array | None = None,
        *,
        rate: float | None = None,
        times: Array | None = None,
        up: Up = "y",
        sex: Literal["f", "m", "unknown"] = "unknown",
        height: float | None = None,
        mass: float | None = None,
        joint_positions: Array | None = None,
        betas: Array | None = None,
        source: str = "",
    ) -> Poses:
        """Poses from SMPL's axis-angle parameters.

        Args:
            vectors: Rotation vectors [rad], shape [T, 24, 3] or [T, 72]; more than half a turn is as good as less.
            translation: Shape [T, 3] [m]; standing still at the world's origin if not given.
            rate: Frames per second, if there are no ``times``.
            times: Time of each frame [s], shape [T], if there is no ``rate``.
            up: As of :class:`Poses`, like all others.
            sex: Whose proportions.
            height: Stature [m].
            mass: Body mass [kg].
            joint_positions: Rest joints [m], shape [24, 3].
            betas: Shape parameters.
            source: Where they come from.

        Raises:
            DataError: Also for a rate that is none, or for both or neither of rate and times.
        """
        turns = np.asarray(vectors, dtype=np.float64)
        if turns.ndim not in (2, 3) or turns.shape[1:] not in ((JOINTS, 3), (3 * JOINTS,)):
            raise DataError(f"poses: expected rotation vectors of shape [frames, 24, 3], got {list(turns.shape)}")
        if (rate is None) == (times is None):
            raise DataError("poses: give either the frames per second or the times")
        if times is None:
            if rate is None or not (np.isfinite(rate) and rate > 0):
                raise DataError(f"poses: frames per second must be a positive number, got {rate}")
            times = np.arange(len(turns)) / rate
        if translation is None:
            translation = np.zeros((len(turns), 3))
        return cls(
            times, matrices(turns.reshape(-1, JOINTS, 3)), translation, up, sex, height, mass, joint_positions, betas,
            source,
        )  # fmt: skip

    @property
    def rate(self) -> float:
        """Frames per second; NaN for a single frame."""
        return sampling_rate(self.times)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Frames of which every number is there, shape [T], bool."""
        seen = np.isfinite(self.rotations).all(axis=(1, 2, 3)) & np.isfinite(self.translation).all(axis=1)
        return np.asarray(seen)

    @property
    def rotation_vectors(self) -> Array:
        """Rotation vectors of at most half a turn [rad], shape [T, 24, 3]; NaN where a joint was not seen."""
        found = np.full((len(self.times), JOINTS, 3), np.nan)
        seen = np.isfinite(self.rotations[..., 0, 0])
        if seen.any():
            found[seen] = Rotation.from_matrix(self.rotations[seen]).as_rotvec()
        return found

    def frames(self, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Poses:
        """Only some frames, in the order of time."""
        return dataclasses.replace(
            self, times=self.times[which], rotations=self.rotations[which], translation=self.translation[which]
        )

    def between(self, start: float | None, end: float | None) -> Poses:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        return self.frames(within(self.times, start, end, "poses"))


def matrices(vectors: Array) -> Array:
    """Rotation matrices of rotation vectors, [..., 3] → [..., 3, 3]; NaN where a vector is not finite."""
    found = np.full((*vectors.shape, 3), np.nan)
    seen = np.isfinite(vectors).all(axis=-1)
    if seen.any():
        found[seen] = Rotation.from_rotvec(vectors[seen]).as_matrix()
    return found


def _check_rotations(rotations: Array) -> None:
    """Every matrix that is there turns without stretching or mirroring."""
    seen = np.isfinite(rotations[..., 0, 0])
    # By rows over all frames at once: products and determinants of many small matrices cost ten times as much.
    rows = np.ascontiguousarray(np.moveaxis(rotations, (-2, -1), (0, 1)))
    off = np.zeros(seen.shape)
    for a in range(3):
        for b in range(a, 3):
            np.maximum(off, np.abs((rows[a] * rows[b]).sum(0) - (a == b)), out=off)
    mirrored = (np.cross(rows[0], rows[1], axis=0) * rows[2]).sum(0) < 0
    # What is missing compares as False.
    wrong = seen & ((off > ORTHONORMAL) | mirrored)
    if wrong.any():
        frame, joint = (int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"poses: the matrix of joint {joint} in frame {frame} is no rotation; give orthonormal matrices with "
            "determinant 1"
        )
