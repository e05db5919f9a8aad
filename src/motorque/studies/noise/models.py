"""What an estimator of poses gets wrong: noise on the 24 rotation vectors of SMPL's tree, many draws at once.

Every model gives noise that is *added to the local rotation vectors*, with standard deviations in radians per
component, as SMPL-Dynamics has it. Draws are numbered: draw ``k`` of a seed is the same however many are asked for, and
models that differ in their level only use the same random numbers, so that differences between levels are not chance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from motorque.errors import DataError
from motorque.series.poses import Poses, matrices
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS

Array = NDArray[np.float64]
Camera = Literal["side", "front", "oblique"] | tuple[float, float, float]

TYPICAL = 0.05
"""What SMPL-Dynamics calls typical of video: standard deviation of every component [rad]."""

# Relative levels of the realistic profile. The paper says that ankles and wrists are noisier than pelvis and spine; its
# numbers are not known. Chosen here: 2.5 times from the root to the ends, in between by the number of joints on the
# way, as errors of position per joint are published for the estimators that it speaks of (ankles and wrists two to
# three times the pelvis).
LEVELS: dict[str, float] = {
    "pelvis": 0.6, "hip": 0.8, "knee": 1.1, "ankle": 1.5, "foot": 1.5, "spine1": 0.6, "spine2": 0.6, "spine3": 0.6,
    "neck": 0.8, "head": 0.9, "collar": 0.8, "shoulder": 1.0, "elbow": 1.2, "wrist": 1.5, "hand": 1.5,
}  # fmt: skip
# Components along the camera's axis over the others: the number is not known either. Errors of position in depth are
# two to three times those across in monocular estimates.
DEPTH = 2.0
# Share of the variance that is new in every frame ("flickering"), and how long the rest lasts [s].
FLICKER, LASTS = 0.5, 0.1


class PoseNoise(NamedTuple):
    """What is added to poses.

    Args:
        rotation: To the rotation vectors [rad], shape [S, T, 24, 3].
        translation: To the root's translation [m], shape [S, T, 3].
    """

    rotation: Array
    translation: Array


class NoiseModel(Protocol):
    """Anything that draws noise for poses."""

    def draw(self, poses: Poses, draws: int, *, seed: int = 0) -> PoseNoise:
        """Noise for some poses.

        Args:
            poses: The clean poses, at a constant rate.
            draws: How many, S.
            seed: Of the generator; the same seed and model give the same noise.
        """
        ...


@dataclass(frozen=True)
class White:
    """Independent Gaussian noise in every frame, joint and component: the paper's 4.1.

    Args:
        sigma: Standard deviation of every component [rad].
        root: Whether the root's orientation is noisy too.
        translation: Standard deviation of the root's translation, each component [m]; 0 in the paper's protocol.
    """

    sigma: float = TYPICAL
    root: bool = True
    translation: float = 0.0

    def draw(self, poses: Poses, draws: int, *, seed: int = 0) -> PoseNoise:
        """See :class:`NoiseModel`."""
        unit = _unit(poses, draws, seed)
        return PoseNoise(_level(self.sigma) * _masked(unit.rotation, self.root), self.translation * unit.translation)


@dataclass(frozen=True)
class OneJoint:
    """White noise on one joint, or of every joint by itself: the paper's 4.2.

    Args:
        joint: Its name in SMPL's order.
        sigma: Standard deviation of every component [rad].
    """

    joint: str
    sigma: float = TYPICAL

    def draw(self, poses: Poses, draws: int, *, seed: int = 0) -> PoseNoise:
        """See :class:`NoiseModel`; a joint's noise is that which :class:`White` gives it."""
        if self.joint not in SMPL_JOINTS:
            raise DataError(f"there is no joint {self.joint!r}; there are {', '.join(SMPL_JOINTS)}")
        unit = _unit(poses, draws, seed)
        only = np.zeros((len(SMPL_JOINTS), 1))
        only[SMPL_JOINTS.index(self.joint)] = 1.0
        return PoseNoise(_level(self.sigma) * only * unit.rotation, np.zeros_like(unit.translation))


@dataclass(frozen=True)
class AR1:
    """Noise that forgets itself exponentially: a first-order autoregressive process, stationary from the first frame.

    Args:
        sigma: Standard deviation of every component [rad].
        lasts: Time after which the correlation has fallen to 1/e [s]; 0 is white noise.
        root: Whether the root's orientation is noisy too.
    """

    sigma: float = TYPICAL
    lasts: float = LASTS
    root: bool = True

    def draw(self, poses: Poses, draws: int, *, seed: int = 0) -> PoseNoise:
        """See :class:`NoiseModel`."""
        unit = _unit(poses, draws, seed)
        lasting = _lasting(unit.rotation, self.lasts, poses.rate)
        return PoseNoise(_level(self.sigma) * _masked(lasting, self.root), np.zeros_like(unit.translation))


@dataclass(frozen=True)
class Realistic:
    """As a monocular estimator errs: more at the ends, more along the camera's axis, partly lasting, partly flickering.

    After the paper's 4.4, which describes its profile ("WHAM-like") but whose numbers are not known; all are arguments.
    A joint's noise is drawn in the axes of the world, where the camera's axis is, and turned into those of its parent.

    Args:
        mean_size: Mean over joints of the expected length of a joint's noise vector [rad], that of :class:`White` with
            ``TYPICAL`` by default: comparisons at the same mean size need no further factor.
        levels: Relative level by joint, sides without their ``left_`` and ``right_``.
        depth: How many times larger the component along the camera's axis is.
        camera: Where the camera looks from: the ``side`` of the person as it is on average, the ``front``, ``oblique``
            between them, or an axis in the poses' world.
        depth_of: Whether it is the component of the rotation vector *along* the camera's axis that is amplified, as the
            paper has it, or those *across*, which move limbs along the camera's axis and cannot be seen in the picture.
        sized: Whether ``mean_size`` is that of the noise as it is (``whole``) or before a part of it is made larger
            (``before_depth``), as a reader of the paper may take its "equivalent average magnitude".
        flicker: Share of the variance that is new in every frame.
        lasts: Time after which the correlation of the rest has fallen to 1/e [s].
        translation: Standard deviation of the root's translation across the camera's axis [m].
        root: Whether the root's orientation is noisy too.
    """

    mean_size: float = TYPICAL * float(np.sqrt(8 / np.pi))
    levels: Mapping[str, float] = field(default_factory=lambda: dict(LEVELS))
    depth: float = DEPTH
    camera: Camera = "side"
    depth_of: Literal["along", "across"] = "along"
    sized: Literal["whole", "before_depth"] = "whole"
    flicker: float = FLICKER
    lasts: float = LASTS
    translation: float = 0.0
    root: bool = True

    def draw(self, poses: Poses, draws: int, *, seed: int = 0) -> PoseNoise:
        """See :class:`NoiseModel`."""
        if not 0 <= self.flicker <= 1:
            raise DataError(f"the share of flicker must be between 0 and 1, got {self.flicker:g}")
        unit, lasting = _unit(poses, draws, seed), _unit(poses, draws, seed, stream=1)
        new, old = np.sqrt(self.flicker), np.sqrt(1 - self.flicker)
        mixed = PoseNoise(
            *(new * a + old * _lasting(b, self.lasts, poses.rate) for a, b in zip(unit, lasting, strict=True))
        )
        axis = camera_axis(poses, self.camera)
        rotation = mixed.rotation * joint_levels(self.levels)[:, None]
        rotation = _stretched(rotation, axis, self.depth, along=self.depth_of == "along")
        # Equal mean size by expectation, not draw by draw: lengths are then known beforehand
        depth = self.depth if self.sized == "whole" else 1.0
        size = _mean_length(depth, along=self.depth_of == "along") * joint_levels(self.levels).mean()
        rotation = _level(self.mean_size) / size * _masked(rotation, self.root)
        parents = _parents_in_world(poses.rotations)
        local = np.einsum("tjki,stjk->stji", parents, rotation)
        return PoseNoise(local, self.translation * _stretched(mixed.translation, axis, self.depth, along=True))


def joint_levels(levels: Mapping[str, float]) -> Array:
    """Relative levels in SMPL's order, shape [24], from names without sides."""
    names = [name.removeprefix("left_").removeprefix("right_") for name in SMPL_JOINTS]
    missing = sorted({name for name in names if name not in levels})
    if missing:
        raise DataError(f"the noise profile has no level for {', '.join(missing)}")
    return np.array([levels[name] for name in names], dtype=np.float64)


def camera_axis(poses: Poses, camera: Camera) -> Array:
    """Unit vector along which a camera looks, in the poses' world, shape [3]; level where it is given by a word.

    Raises:
        DataError: The axis has no length, there is no such word, or the person turns about so that there is no side.
    """
    if not isinstance(camera, str):
        axis = np.asarray(camera, dtype=np.float64)
        length = np.linalg.norm(axis)
        if axis.shape != (3,) or not np.isfinite(length) or length == 0:
            raise DataError(f"a camera's axis has three numbers that are not all zero, got {camera}")
        return axis / length
    turns = {"side": 0.0, "oblique": np.pi / 4, "front": np.pi / 2}
    if camera not in turns:
        raise DataError(f"a camera looks from the {', '.join(turns)} or along an axis, not {camera!r}")
    up = np.zeros(3)
    up["xyz".index(poses.up[-1])] = -1.0 if poses.up.startswith("-") else 1.0
    left = np.nanmean(poses.rotations[:, 0, :, 0], axis=0)
    left = left - (left @ up) * up
    if np.linalg.norm(left) < 1e-3:  # somebody who lies on a side still looks somewhere
        left = np.cross(up, np.nanmean(poses.rotations[:, 0, :, 2], axis=0))
    if np.linalg.norm(left) < 1e-3:
        raise DataError("the person faces no way on average; give the camera's axis as three numbers")
    left = left / np.linalg.norm(left)
    return np.cos(turns[camera]) * left + np.sin(turns[camera]) * np.cross(left, up)


def mean_size(noise: Array) -> float:
    """Mean over everything of the length of vectors, shape [..., 3]: the paper's pose error, if these are differences
    of rotation vectors.
    """
    return float(np.linalg.norm(noise, axis=-1).mean())


def _unit(poses: Poses, draws: int, seed: int, stream: int = 0) -> PoseNoise:
    """White noise of variance 1; the draws' index is the slowest, so that more draws leave the first as they are."""
    if draws < 1:
        raise DataError(f"noise needs at least one draw, got {draws}")
    rows = np.random.default_rng([seed, stream]).standard_normal((draws, len(poses.times), len(SMPL_JOINTS) + 1, 3))
    return PoseNoise(rows[:, :, :-1], rows[:, :, -1])


def _level(sigma: float) -> float:
    if not (np.isfinite(sigma) and sigma >= 0):
        raise DataError(f"a noise level must be a number of radians, not below 0, got {sigma}")
    return sigma


def _masked(noise: Array, root: bool) -> Array:
    return noise if root else noise * (np.arange(noise.shape[2]) > 0)[:, None]


def _lasting(white: Array, lasts: float, rate: float) -> Array:
    """First-order autoregressive noise of variance 1 along the second dimension, from white noise."""
    if not (np.isfinite(lasts) and lasts >= 0):
        raise DataError(f"noise lasts some seconds, not below 0, got {lasts}")
    kept = float(np.exp(-1.0 / (rate * lasts))) if lasts > 0 else 0.0
    fresh = np.sqrt(1 - kept**2) * white
    fresh[:, 0] = white[:, 0]  # stationary from the start
    return np.asarray(lfilter([1.0], [1.0, -kept], fresh, axis=1))


def _stretched(noise: Array, axis: Array, factor: float, *, along: bool) -> Array:
    """Vectors with their part along an axis, or that across it, made larger."""
    part = (noise @ axis)[..., None] * axis
    return factor * part + (noise - part) if along else part + factor * (noise - part)


def _mean_length(depth: float, *, along: bool) -> float:
    """Expected length of a Gaussian vector of unit variance whose part along, or across, an axis is made larger.

    By the length's angular average: E|x| = sqrt(2/π)·2·⟨|S u|⟩ over the sphere, u uniform, and the cosine to the axis
    of a uniform direction is uniform.
    """
    cosine, weight = np.polynomial.legendre.leggauss(64)
    one, two = (depth, 1.0) if along else (1.0, depth)
    mean = 0.5 * float(weight @ np.sqrt((one * cosine) ** 2 + two**2 * (1 - cosine**2)))
    return 2 * float(np.sqrt(2 / np.pi)) * mean


def _parents_in_world(rotations: Array) -> Array:
    """Rotation of each joint's parent into the world, the identity for the root's; shape [T, 24, 3, 3]."""
    world = np.empty_like(rotations)
    parents = np.empty_like(rotations)
    for joint, parent in enumerate(SMPL_PARENTS):
        parents[:, joint] = np.eye(3) if parent < 0 else world[:, parent]
        world[:, joint] = parents[:, joint] @ rotations[:, joint]
    return parents


def noisy_rotations(poses: Poses, noise: PoseNoise) -> tuple[Array, Array]:
    """Poses with noise added.

    Args:
        poses: The clean ones.
        noise: For their frames.

    Returns:
        Local rotations, shape [S, T, 24, 3, 3], and translations [m], shape [S, T, 3].
    """
    vectors = poses.rotation_vectors + noise.rotation
    return matrices(vectors), poses.translation + noise.translation
