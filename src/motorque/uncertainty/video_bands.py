"""Error bars of a motion fitted to video: drawn errors of the fit, through smoothing, ground forces and torques.

Every draw is a whole course of errors in all joints together, as the fit's own equations leave them open, with lengths
that belong to it. It is smoothed as the motion was, goes through inverse dynamics, gets ground forces by the rules of
their estimate, and with these through inverse dynamics again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from motorque.errors import DataError
from motorque.fitting.ground_loads import GroundEstimate
from motorque.fitting.keypoint_draws import draw_errors
from motorque.fitting.keypoint_posterior import Posterior
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.twists import coordinate_twists, descendant_matrix, joint_axes
from motorque.series import Motion
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import Bands, LoadBand
from motorque.uncertainty.drawn_loads import DrawnLoads, carrying, drawn_loads
from motorque.uncertainty.root_wrench import root_wrench
from motorque.uncertainty.smoother import Smoother
from motorque.uncertainty.torque_gain import generalized_forces

Array = NDArray[np.float64]
Single = NDArray[np.float32]

POSE, LENGTHS, MASS = "pose", "lengths and camera", "body mass"
"""What a video's bars are made of."""
DRAWS = 100
"""Draws of everything together: a standard deviation is known to 7 % then (1 / sqrt(2 · 100))."""
ALONE = 16
"""Draws of each source by itself, whose sizes are means over time."""
KEPT = 0.98
"""Share of the lengths' variance that is followed."""
STRETCHED = 0.1
"""Change of lengths by which derivatives are found, in standard deviations; their squares are a thousandth of it."""
ASSUMED_MASS_STD = 0.15
"""Spread of the logarithm of the body mass among people of one height: men's weights spread by 0.166, of which their
statures explain 2 · 0.039 (85.5 ± 14.2 kg, 1756 ± 69 mm; ANSUR II, Gordon et al. 2014); women's likewise."""
RATE = 30.0
"""Frames a second at which draws are looked at; their spread changes no faster than what passes the filter [Hz]."""
AT_ONCE = 120_000
"""Frames times draws computed together: some hundred MB."""


@dataclass(frozen=True, eq=False)
class Results:
    """What comes out of drawn errors: changes from the undisturbed result, which is draw 0."""

    torques: Single
    loads: DrawnLoads


def bands_of_fit(
    skeleton: Skeleton,
    *,
    motion: Motion,
    rate: Array,
    acceleration: Array,
    ground: GroundEstimate,
    posterior: Posterior,
    cutoff: float | None,
    mass_known: bool = True,
    height_known: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bands:
    """Error bars of angles, torques and estimated loads of a motion fitted to video.

    Those of a centre of pressure say where it is under its foot; how far the foot itself may be off, with the whole
    person towards or away from the camera, is told by the pelvis' shifts.

    Args:
        skeleton: The person's skeleton, of the fit's bodies and coordinates.
        motion: The smoothed motion at even times, with the fit's standard deviations.
        rate: Its first time derivative, shape [T, nq].
        acceleration: Its second one, shape [T, nq].
        ground: The ground forces that were estimated from it.
        posterior: What the fit left open.
        cutoff: Low-pass cutoff that the motion went through [Hz], or None.
        mass_known: Whether the body mass was given, and not assumed from the height.
        height_known: Whether the height was given; only said, the posterior knows.
        draws: Draws of all sources together.
        seed: Their seed.

    Raises:
        DataError: Motion, forces and posterior are not of the same recording.
    """
    if motion.std is None or len(ground.loads.times) != len(motion.times):
        raise DataError("bands: motion and ground forces must be at the same times, the motion with deviations")
    mass_std = 0.0 if mass_known else float(np.hypot(ASSUMED_MASS_STD, 2 * _size_std(posterior)))
    rng = np.random.default_rng(seed)
    few = np.arange(0, len(motion.times), max(1, round(motion.rate / RATE)))
    chain = _Chain.of(skeleton, motion, np.stack([motion.values, rate, acceleration]), ground, posterior, cutoff, few)
    columns = [np.interp(posterior.times, motion.times, acceleration[:, c]) for c in posterior.columns]
    own, numbers = draw_errors(posterior, np.stack(columns, axis=1), draws, rng)
    course: Single = own.transpose(0, 2, 1).astype(np.float32)
    total = chain.spread(course, numbers)
    alone = slice(0, min(ALONE, draws))
    by_source = {
        POSE: chain.spread(course[:, alone], None),
        LENGTHS: chain.spread(None, numbers[:, alone]),
    }
    tau, forces = chain.undisturbed[0][:, 0], chain.undisturbed[1].force[:, 0]
    every = _lines(few, len(motion.times))
    torque = every(total.torques + (mass_std * tau) ** 2)
    force = every(total.force + (mass_std * forces) ** 2)
    point, moment = every(total.point), every(total.moment)
    sizes = {
        name: {"angles": np.sqrt(s.angles.mean(0)), "torques": np.sqrt(s.torques.mean(0))}
        for name, s in by_source.items()
    }
    if mass_std > 0:
        sizes[MASS] = {"angles": np.zeros(motion.values.shape[1]), "torques": mass_std * np.sqrt((tau**2).mean(0))}
    loads = {
        load.name: LoadBand(np.sqrt(force[:, f]), np.sqrt(point[:, f]), np.sqrt(moment[:, f]))
        for f, load in enumerate(ground.loads.loads)
    }
    return Bands(
        motion.times,
        motion.names,
        motion.std,
        np.sqrt(torque),
        loads,
        sizes,
        _included(posterior, mass_std, height_known),
        EXCLUDED,
        "monte carlo",
        draws,
        seed,
    )


EXCLUDED: Mapping[str, str] = {
    "segment masses": "each segment's share of the body mass is taken as usual",
    "movement faster than the filter": "what the low-pass filter takes off is not counted",
    "the rules of the ground forces": "feet are taken to share the load as without plates they are estimated to",
    "a wrong reading of the video": "sides exchanged, another person, an unseen support",
}
"""What a video's bars do not hold."""


def _size_std(left: Posterior) -> float:
    """Standard deviation of the logarithm of the person's size."""
    return left.staying * float(np.linalg.norm(left.lengths.mean((0, 1))))


def _included(left: Posterior, mass_std: float, height_known: bool) -> dict[str, str]:
    root = [n for n in range(3)]
    turn = np.degrees(np.sqrt(np.diagonal(left.own, axis1=1, axis2=2)[:, 6:].mean()))
    tilt = left.staying * np.degrees(np.sqrt((left.shared[:, root] ** 2).sum(-1).mean()))
    length = 100 * left.staying * float(np.sqrt((left.lengths**2).sum(-1).mean()))
    size = "height given" if height_known else "height not given, so scale and depth are open too"
    included = {
        POSE: f"{turn:.2g}° per joint as the fit has it, joints together, as lively as the motion",
        LENGTHS: f"{length:.2g} % of a segment's length, {tilt:.2g}° of the pelvis by camera and floor; {size}",
    }
    if mass_std > 0:
        included[MASS] = f"{100 * mass_std:.2g} %, for it was assumed from the height"
    return included


@dataclass(frozen=True, eq=False)
class _Spread:
    """Variances: angles [T, nq], torques [T, nv]; force, point, moment [T, 2, 3]."""

    angles: Array
    torques: Array
    force: Array
    point: Array
    moment: Array


@dataclass(frozen=True, eq=False)
class _Chain:
    """Everything from a fit's errors to torques, in single precision."""

    skeleton: Skeleton
    single: Skeleton
    smoothed: Array
    ground: GroundEstimate
    left: Posterior
    smoother: Smoother
    between: csr_array
    coupling: Single
    by_pose: Single  # contact points by all coordinates [T, K, 3, nq]
    directions: Array  # [r, K]: numbers to lengths' own ones
    by_length: tuple[Single, Single]  # torques without loads [T, nv, r], contact points [T, K, 3, r]
    root: tuple[int, ...]
    few: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        skeleton: Skeleton,
        motion: Motion,
        smoothed: Array,
        ground: GroundEstimate,
        left: Posterior,
        cutoff: float | None,
        few: NDArray[np.int64],
    ) -> _Chain:
        smoothed, ground = np.ascontiguousarray(smoothed[:, few]), ground.frames(few)
        q = torch.as_tensor(smoothed[0])
        coupling = skeleton.coupling_matrix(q).numpy()
        free = list(skeleton.free_coordinates)
        coupling = coupling[..., [free.index(c) for c in left.columns]].astype(np.float32)
        points = _contact_points(skeleton, ground, q)
        directions, by_length = _by_lengths(skeleton, ground, smoothed, left.lengths)
        return cls(
            skeleton,
            skeleton.to(dtype=torch.float32),
            smoothed,
            ground,
            left,
            Smoother.of(len(motion.times), motion.rate, cutoff),
            between(left.times, motion.times),
            coupling,
            points,
            directions,
            by_length,
            left.columns[3:6],
            few,
        )

    def spread(self, own: Single | None, numbers: Array | None) -> _Spread:
        """Mean squared changes by drawn errors of the fit's coordinates [T', D, n], shared numbers [K, D], or both."""
        count = own.shape[1] if own is not None else numbers.shape[1] if numbers is not None else 0
        size = max(1, AT_ONCE // self.smoothed.shape[1])
        sums: list[Array] | None = None
        for start in range(0, count, size):
            part = slice(start, min(start + size, count))
            found = self._sums(None if own is None else own[:, part], None if numbers is None else numbers[:, part])
            sums = found if sums is None else [a + b for a, b in zip(sums, found, strict=True)]
        assert sums is not None
        angles, torques, force, point, carried, moment = sums
        point = np.where(carried >= 0.5 * count, point / np.maximum(carried, 1), np.nan)
        return _Spread(angles / count, torques / count, force / count, point, moment / count)

    @cached_property
    def undisturbed(self) -> tuple[Single, DrawnLoads]:
        """Generalized forces [T, 1, nv] and loads without any error, by the rules of the draws."""
        frames, width = self.smoothed.shape[1:]
        return self._results(np.zeros((3, frames, 1, width), np.float32), None)

    def _sums(self, own: Single | None, numbers: Array | None) -> list[Array]:
        error = np.zeros(1, np.float32) if own is None else own
        if numbers is not None:
            error = error + (self.left.shared.astype(np.float32) @ numbers.astype(np.float32)).transpose(0, 2, 1)
        even = (self.between @ error.reshape(len(error), -1)).reshape(-1, *error.shape[1:])
        moved: Single = np.asarray(self.smoother(even)[:, self.few] @ self.coupling.transpose(0, 2, 1), np.float32)
        tau, loads = self._results(moved, None if numbers is None else (self.directions @ numbers).astype(np.float32))
        # Only what errors change counts, both by the same rules.
        still, first = self.undisturbed
        there = carrying(loads) & carrying(first)
        # Where under the foot: that the foot itself may be elsewhere is the motion's own error.
        under = (loads.point - loads.foot - first.point) * there[..., None]
        moment = np.zeros((len(tau), 2, 3))
        moment[..., 1] = _squares(loads.twist - first.twist)
        return [
            _squares(moved[0]),
            _squares(tau - still),
            _squares(loads.force - first.force),
            _squares(under) * [1.0, 0.0, 1.0],
            there.sum(1)[..., None].astype(np.float64),
            moment,
        ]

    def _results(self, moved: Single, stretched: Single | None) -> tuple[Single, DrawnLoads]:
        """Generalized forces [T, D, nv] and loads of moved coordinates [3, T, D, nq] and lengths [r, D]."""
        frames, count, width = moved.shape[1:]
        whole = moved + self.smoothed[:, :, None].astype(np.float32)
        rows = whole.reshape(3, -1, width)
        tau = generalized_forces(self.single, rows, {}, many=True).reshape(frames, count, -1)
        length = None if stretched is None else (self.by_length[0] @ stretched).transpose(0, 2, 1)
        tau = tau if length is None else tau + length
        force, moment, center = root_wrench(self.skeleton, whole[0], tau)
        under = self.ground.sharing.wrench.center.astype(np.float32)[:, None]
        foot = np.stack([under[..., 0], np.full_like(under[..., 0], self.ground.ground), under[..., 1]], axis=-1)
        moment = moment + np.cross(center - foot, force)
        sharing = self.ground.sharing
        usual = (sharing.wrench.force * self.ground.weight).astype(np.float32)[:, None]
        turning = (sharing.wrench.moment * self.ground.weight).astype(np.float32)[:, None]
        points = moved[0] @ self.by_pose.reshape(frames, -1, width).transpose(0, 2, 1)
        if stretched is not None:
            by_length = self.by_length[1].reshape(frames, -1, len(stretched))
            points = points + (by_length @ stretched).transpose(0, 2, 1)
        points = points.reshape(frames, count, -1, 3)
        pelvis = moved[0][..., list(self.root)]
        loads = drawn_loads(self.ground, points, pelvis, force - usual, moment - turning)
        bodies = sharing.points.bodies
        wrenches = {body: loads.wrench(f).reshape(-1, 6).astype(np.float32) for f, body in enumerate(bodies)}
        loaded = generalized_forces(self.single, rows, wrenches, many=True).reshape(frames, count, -1)
        return np.asarray(loaded if length is None else loaded + length, np.float32), loads


def _squares(change: NDArray[np.floating[Any]]) -> Array:
    """Sums of squares over the draws, the second axis."""
    return np.asarray(np.einsum("td...,td...->t...", change, change), dtype=np.float64)


def _contact_points(skeleton: Skeleton, ground: GroundEstimate, q: torch.Tensor) -> Single:
    """How the contact points follow all coordinates, shape [T, K, 3, nq]."""
    poses = forward_kinematics(skeleton, q)
    twists = coordinate_twists(skeleton, q, joint_axes(skeleton, q, poses)).numpy().astype(np.float32)
    sharing = ground.sharing
    bodies = [s.body for s in sharing.points.spheres]
    owner = np.full(skeleton.nq, -1)
    for b, joint in enumerate(skeleton.joints):
        owner[list(joint.coordinates)] = b
    moves = descendant_matrix(skeleton)[owner][:, bodies].T
    position = sharing.position.astype(np.float32)
    by = np.cross(twists[:, None, :, :3], position[:, :, None]) + twists[:, None, :, 3:]
    return np.ascontiguousarray((by * moves[None, :, :, None]).swapaxes(-1, -2), dtype=np.float32)


def _by_lengths(
    skeleton: Skeleton, ground: GroundEstimate, smoothed: Array, lengths: Array
) -> tuple[Array, tuple[Single, Single]]:
    """The few directions in which lengths are open [r, K], and what they do to torques without loads [T, nv, r] and to
    the contact points [T, K, 3, r].
    """
    flat = lengths.reshape(-1, lengths.shape[2])
    change, size, numbers = np.linalg.svd(flat, full_matrices=False)
    count = int(np.searchsorted(np.cumsum(size**2), KEPT * (size**2).sum()) + 1) if size.any() else 0
    frames, spheres = smoothed.shape[1], ground.sharing.points.spheres
    q = torch.as_tensor(smoothed[0])
    torques = np.zeros((frames, skeleton.nv, count), np.float32)
    points = np.zeros((frames, len(spheres), 3, count), np.float32)
    if count:
        # The draws' own kernel is at hand in single precision.
        single = smoothed.astype(np.float32)
        plain = generalized_forces(skeleton.to(dtype=torch.float32), single, {}, many=True)
        place = _places(skeleton, ground, q, np.ones((len(skeleton.body_names), 3)))
    for r in range(count):
        # From the numbers' unit: one standard deviation is size · change.
        factor = np.exp(STRETCHED * size[r] * change[:, r]).reshape(-1, 3)
        stretched = scale_lengths(skeleton, torch.as_tensor(factor))
        moved = generalized_forces(stretched.to(dtype=torch.float32), single, {}, many=True)
        torques[..., r] = (moved - plain) / STRETCHED
        points[..., r] = (_places(stretched, ground, q, factor) - place) / STRETCHED
    return numbers[:count], (torques, points)


def _places(skeleton: Skeleton, ground: GroundEstimate, q: torch.Tensor, factor: Array) -> Array:
    """Contact points in ground [m], shape [T, K, 3], of a skeleton stretched by these factors [B, 3]."""
    spheres = ground.sharing.points.spheres
    poses = forward_kinematics(skeleton, q)
    bodies = [s.body for s in spheres]
    center = torch.as_tensor(np.array([s.center for s in spheres]) * factor[bodies])
    down = np.array([s.radius for s in spheres])[:, None] * factor[bodies].mean(1)[:, None] * np.array([0.0, 1.0, 0.0])
    return (poses.position[:, bodies] + (poses.rotation[:, bodies] @ center[..., None])[..., 0]).numpy() - down


def _lines(few: NDArray[np.int64], frames: int) -> Callable[[Array], Array]:
    """What makes values at a few frames values at every frame, along straight lines, the last one kept."""
    at = np.arange(frames)
    before = np.searchsorted(few, at, side="right") - 1
    after = np.minimum(before + 1, len(few) - 1)
    share = (at - few[before]) / np.maximum(few[after] - few[before], 1)

    def every(values: Array) -> Array:
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        return np.asarray((1 - weight) * values[before] + weight * values[after])

    return every


def between(times: Array, wanted: Array) -> csr_array:
    """Weights that interpolate samples at ``times`` [s] at others, by cubics through four neighbours; [T', T]."""
    last = len(times) - 1
    before = np.clip(np.searchsorted(times, wanted, side="right") - 1, 0, max(last - 1, 0))
    gap = np.diff(times)[before] if last else np.ones(len(wanted))
    s = np.clip((wanted - times[before]) / gap, 0.0, 1.0)
    after = np.minimum(before + 1, last)
    level = 2 * s**3 - 3 * s**2 + 1
    rows, columns, weights = [], [], []

    def put(column: NDArray[np.int64], weight: Array) -> None:
        rows.append(np.arange(len(wanted)))
        columns.append(column)
        weights.append(weight)

    put(before, level)
    put(after, 1 - level)
    for middle, slope in ((before, s**3 - 2 * s**2 + s), (after, s**3 - s**2)):
        left, right = np.maximum(middle - 1, 0), np.minimum(middle + 1, last)
        span = np.where(right > left, times[right] - times[left], 1.0)
        put(right, slope * gap / span)
        put(left, -slope * gap / span)
    shape = (len(wanted), len(times))
    entries = np.concatenate(weights).astype(np.float32)
    return csr_array((entries, (np.concatenate(rows), np.concatenate(columns))), shape=shape)
