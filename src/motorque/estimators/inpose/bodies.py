"""Whole bodies over time, sampled: what InPose gives back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.estimators.inpose.error_bars import ANY, bones_share, error_bars, free_arms, within_reach
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import ANKLES, HEAD, JOINTS, PARENTS, columns, matrices, places
from motorque.series.poses import Poses
from motorque.skeleton.anthropometry import Sex
from motorque.skeleton.smpl import ANKLE_HEIGHT

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bodies:
    """Samples of one person's movement, in a world with y up.

    Args:
        times: Time of each frame [s], shape [T].
        rotations: Global rotations of n samples, shape [n, T, 22, 3, 3].
        pelvis: Where the pelvis is [m], shape [n, T, 3].
        rest: Rest joints from the pelvis on [m], shape [24, 3].
        sex: Whose proportions.
        height: Stature [m], if it is known.
        source: What they were found from.
        measured: What sensors said, in these bodies' world.
        settings: How they were sampled.
        rest_std: How sure the bone that ends in each joint is [m], shape [22], where bones were found.
        floor: Height of the floor in their world [m].
        stands: How likely the left ankle, the left ball of the foot and the right ones stand between frames, shape
            [T - 1, 4], where feet were put on the ground.
    """

    times: Array
    rotations: Array
    pelvis: Array
    rest: Array
    sex: Sex = "unknown"
    height: float | None = None
    source: str = ""
    measured: Measured | None = None
    settings: Any = None
    rest_std: Array | None = None
    floor: float = 0.0
    stands: Array | None = None

    @property
    def positions(self) -> Array:
        """Where the 22 joints are in all samples [m], shape [n, T, 22, 3]."""
        six, rest = torch.tensor(columns(self.rotations)), torch.tensor(self.rest[: len(JOINTS)])
        return np.asarray(places(six, rest, torch.tensor(self.pelvis)).numpy())

    @cached_property
    def mean(self) -> Bodies:
        """The mean of the samples, as one sample: the rotations nearest to all, and the mean place.

        It misses the sensors a little, and its feet slip; see :meth:`refit`.
        """
        if len(self.rotations) == 1:
            return self
        u, _, vt = np.linalg.svd(self.rotations.mean(axis=0))
        u[..., -1] *= np.linalg.det(u @ vt)[..., None]
        return replace(self, rotations=(u @ vt)[None], pelvis=self.pelvis.mean(axis=0)[None])

    def refit(self) -> Bodies:
        """The mean of the samples, moved to where it fits the sensors as each of them does, with feet on the ground:
        what ``motorque sensors`` writes. :attr:`mean` alone does neither.
        """
        from motorque.estimators.inpose.drawing import refit  # it needs all that made these bodies

        return refit(self)

    @cached_property
    def spread(self) -> Array:
        """Root mean square angle of samples from their mean [rad], shape [T, 22]; NaN for a single sample.

        It is divided by the number of samples less one, as a variance is. It is what samples say of each other, less
        than they are off: see :attr:`standard_deviation`.
        """
        count = len(self.rotations)
        if count < 2:
            return np.full(self.rotations.shape[1:3], np.nan)
        return np.asarray(np.sqrt((_angles(self.mean.rotations, self.rotations) ** 2).sum(axis=0) / (count - 1)))

    @cached_property
    def place_spread(self) -> Array:
        """Root mean square distance of joints from their mean place [m], shape [T, 22]; NaN for a single sample."""
        count = len(self.rotations)
        if count < 2:
            return np.full(self.rotations.shape[1:3], np.nan)
        found = self.positions
        return np.asarray(np.sqrt(((found - found.mean(axis=0)) ** 2).sum(axis=(0, -1)) / (count - 1)))

    @cached_property
    def standard_deviation(self) -> Array:
        """How far the mean's global rotations are off: root mean square angles [rad], shape [T, 22].

        The spread, widened by what errors of strangers were (:mod:`motorque.estimators.inpose.error_bars`). Where a
        rotation was measured it is the sensor's noise and how far samples are from what it said. NaN for a single
        sample, but where measured.
        """
        table, spread, count = error_bars(), self.spread, len(self.rotations)
        found = np.where(self._free, table.free_rotations(spread, count), table.rotations(spread, count))
        found = np.minimum(found, ANY)
        if self.measured is None or self.settings is None:
            return np.asarray(found)
        told = matrices(self.measured.columns6.double()).numpy()
        square = (_angles(told, self.rotations) ** 2).mean(axis=0) + 3 * self.settings.rotation_noise**2
        return np.where(self.measured.seen.numpy(), np.sqrt(square), found)

    @cached_property
    def place_standard_deviation(self) -> Array:
        """How far the mean's places are off: root mean square distances [m], shape [T, 22].

        As :attr:`standard_deviation`, with the noise of what says where the body is; and more where bones had to be
        found, or where that is not the head: then by as much as the joints that say it instead are off themselves. No
        joint is farther off than the next one and the bone between them allow. NaN in frames where no place was
        measured, and for a single sample but where measured.
        """
        table, spread, count = error_bars(), self.place_spread, len(self.rotations)
        found = np.where(self._free, table.free_places(spread, count), table.places(spread, count))
        if self.rest_std is not None:
            found = np.hypot(found, bones_share(self.rest_std))
        if self.measured is None or self.settings is None:
            return np.asarray(found)
        there = self.measured.there.numpy()
        weight = _placed_by(there, self.settings.root)
        weight[weight[:, HEAD] == 1.0] = 0.0  # by the head alone
        weight[~there.any(axis=1)] = np.nan
        noise = 3 * self.settings.noise**2
        found = np.sqrt(found**2 + (weight * found**2).sum(axis=1, keepdims=True) + noise)
        off = np.linalg.norm(self.positions - self.measured.points.double().numpy(), axis=-1)
        found = np.where(there, np.sqrt((off**2).mean(axis=0) + noise), found)
        return within_reach(found, self.standard_deviation, self.rest, self.rest_std)

    @property
    def _free(self) -> NDArray[np.bool_]:
        """Joints of arms of which nothing is measured, shape [T, 22]."""
        if self.measured is None:
            return free_arms(np.zeros(self.rotations.shape[1:3], dtype=np.bool_))
        return free_arms((self.measured.seen | self.measured.there).numpy())

    def poses(self, sample: int = 0, *, mass: float | None = None) -> Poses:
        """A sample as poses on SMPL's tree, hands straight.

        Args:
            sample: Which.
            mass: Body mass [kg], if it is known.
        """
        turns = self.rotations[sample]
        local = np.tile(np.eye(3), (len(turns), 24, 1, 1))
        for joint, parent in enumerate(PARENTS):
            own = turns[:, joint] if parent < 0 else turns[:, parent].swapaxes(-1, -2) @ turns[:, joint]
            local[:, joint] = Rotation.from_matrix(own).as_matrix()  # without the rounding of products
        return Poses(
            self.times,
            local,
            self.pelvis[sample],
            "y",
            self.sex,
            self.height,
            mass,
            self.rest,
            source=self.source,
        )


def pelvis_of(rotations: Array, measured: Measured, rest: Array, *, root: str = "head") -> Array:
    """Where the pelvis must be so that sensors are where they were measured.

    Args:
        rotations: Global rotations of a sample, shape [T, 22, 3, 3].
        measured: What sensors said, over a floor at y = 0.
        rest: Rest joints [m], shape [22 or more, 3].
        root: ``head``: by the head alone wherever it was measured; ``mean``: by all that were.

    Returns:
        Shape [T, 3] [m]. Where nothing was measured it goes straight from before to after; where nothing ever was, the
        lower foot stands on the floor.
    """
    six = torch.tensor(columns(rotations))
    hung = places(six, torch.tensor(rest[: len(JOINTS)])).numpy()
    there = measured.there.numpy()
    weight = _placed_by(there, root)
    if not weight.any():
        sole = ANKLE_HEIGHT / (1 - ANKLE_HEIGHT) * float(rest[HEAD, 1] - rest[list(ANKLES), 1].mean())
        found = np.zeros((len(hung), 3))
        found[:, 1] = sole - hung[:, list(ANKLES), 1].min(axis=1)
        return found
    off = np.where(there[..., None], measured.points.numpy().astype(np.float64) - hung, 0.0)
    known = np.flatnonzero(weight.any(axis=1))
    found = np.einsum("tj,tja->ta", weight[known], off[known])
    frames = np.arange(len(hung))
    return np.stack([np.interp(frames, known, found[:, axis]) for axis in range(3)], axis=-1)


def _placed_by(there: NDArray[np.bool_], root: str) -> Array:
    """What share each place has in saying where the body is, shape [T, 22]; sums are one, or zero where none is there.

    Args:
        there: Whose place was measured, shape [T, 22].
        root: ``head`` or ``mean``.
    """
    weight = there.astype(np.float64)
    if root == "head":
        weight[there[:, HEAD]] = 0.0
        weight[there[:, HEAD], HEAD] = 1.0
    return weight / np.maximum(weight.sum(axis=1, keepdims=True), 1.0)


def _angles(one: Array, other: Array) -> Array:
    """Angles between rotations [rad], [..., 3, 3] twice → [...]."""
    off = np.sqrt(((one - other) ** 2).sum(axis=(-1, -2)))
    return np.asarray(2 * np.arcsin(np.clip(off / (2 * np.sqrt(2)), 0, 1)))
