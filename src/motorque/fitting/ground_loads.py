"""Ground reaction forces without force plates: what the ground must have done, from the motion alone."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.contact_detection import Contact, detect_contact
from motorque.fitting.contact_points import SIDES, ContactPoints, contact_points
from motorque.fitting.load_checks import long_only, spans
from motorque.fitting.load_sharing import (
    BodyWrench,
    outside_distance,
    share_horizontal_forces,
    share_normal_forces,
)
from motorque.journal import Journal
from motorque.mechanics.inverse_dynamics import BodyMotion, body_motion, inertial_wrenches
from motorque.mechanics.kinematics import BodyPoses
from motorque.mechanics.twists import JointAxes
from motorque.series import Load, Loads, Motion
from motorque.signals import NaturalSpline, butterworth
from motorque.signals.runs import runs_of
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]

NO_POINT = 20.0
"""Vertical force under which the centre of pressure is undefined [N], as for force plates."""
USABLE = 0.02
"""Strength of a contact point below which it is off the ground [-]: 4 cm above its resting height."""
NOTABLE = 0.2
"""Force that must be explained, in body weights: noise of filtered accelerations stays below (2 m/s²)."""
TOO_FAR = 0.08
"""Distance of the body's centre of pressure outside of the feet that its error (twice 4 cm) does not explain [m]."""
SUPPORTED = 0.3
"""Shortest time for which something else is taken to carry the body [s]; errors of a fitted motion change faster."""
BLEND = 0.1
"""Time over which the feet give way to another support [s]."""
FLOATING = 5e-5
"""Strength above which a foot may carry a body that nothing else carries, although it seems off the ground [-]: 10 cm.
Feet fitted to video float by centimetres; a box or a step is higher."""


@dataclass(frozen=True, eq=False)
class Sharing:
    """What the sharing of the ground force between the feet rests on.

    Args:
        points: The contact points, K of them.
        position: Where they are [m], shape [T, K, 3].
        strength: How strongly each presses relative to rest [-], shape [T, K].
        pressed: Normal force of each in body weights, shape [T, K].
        elsewhere: From 0 to 1, how surely something else carries the body too, shape [T].
        hips: Hip joints, right and left [m], shape [T, 2, 3].
        wrench: The whole body's.
    """

    points: ContactPoints
    position: Array
    strength: Array
    pressed: Array
    elsewhere: Array
    hips: Array
    wrench: BodyWrench

    def frames(self, which: NDArray[np.int64]) -> Sharing:
        """Only the frames with these indices."""
        whole = self.wrench
        wrench = BodyWrench(whole.force[which], whole.moment[which], whole.center[which])
        return Sharing(
            self.points,
            self.position[which],
            self.strength[which],
            self.pressed[which],
            self.elsewhere[which],
            self.hips[which],
            wrench,
        )


@dataclass(frozen=True, eq=False)
class GroundEstimate:
    """Estimated ground forces and what they leave unexplained.

    Args:
        loads: One load for the right foot and one for the left.
        residual_force: Force on the body that the feet do not explain [N], shape [T, 3].
        residual_moment: Moment about the ground origin that they do not explain [N·m], shape [T, 3].
        airborne: Frames in which the body is carried but no foot is near the ground, shape [T], bool.
        outside: Frames in which the centre of pressure lies clearly outside of the feet, shape [T], bool.
        ground: Height of the ground [m].
        weight: Body weight [N].
        sharing: How it came about.
    """

    loads: Loads
    residual_force: Array
    residual_moment: Array
    airborne: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    ground: float
    weight: float
    sharing: Sharing

    def frames(self, which: NDArray[np.int64]) -> GroundEstimate:
        """Only the frames with these indices."""
        loads = tuple(
            dataclasses.replace(x, force=x.force[which], point=x.point[which], moment=x.moment[which], force_std=None)
            for x in self.loads.loads
        )
        return GroundEstimate(
            Loads(self.loads.times[which], loads),
            self.residual_force[which],
            self.residual_moment[which],
            self.airborne[which],
            self.outside[which],
            self.ground,
            self.weight,
            self.sharing.frames(which),
        )


def estimate_ground_loads(
    skeleton: Skeleton, motion: Motion, *, cutoff: float | None = 6.0, mass: float | None = None, journal: Journal
) -> Loads:
    """Ground reaction forces on both feet from the motion alone.

    Args:
        skeleton: The skeleton.
        motion: Its coordinates [rad or m] over time.
        cutoff: Low-pass cutoff for the coordinates [Hz] (6 Hz suits walking and slower motion; impacts need more); None
            if the motion is smooth already. The forces are not filtered.
        mass: Body mass [kg]; all segments' masses are scaled alike. The skeleton's own if None.
        journal: Where ground, contact points and everything that the feet do not explain are recorded.

    Returns:
        Loads ``ground_force_r`` and ``ground_force_l`` at the motion's times, in ground. Their points are centres of
        pressure on the ground, NaN where a foot carries less than 20 N; their moments have no horizontal part.

    Raises:
        DataError: Too few frames, a motion of another skeleton, a mass that is not positive, a cutoff that does not fit
            the frame rate, or feet that never come to rest.
        ModelError: The skeleton has no feet.
    """
    return ground_estimate(skeleton, motion, cutoff=cutoff, mass=mass, journal=journal).loads


def ground_estimate(
    skeleton: Skeleton, motion: Motion, *, cutoff: float | None = 6.0, mass: float | None = None, journal: Journal
) -> GroundEstimate:
    """As :func:`estimate_ground_loads`, with what the feet do not explain.

    The moment of the feet about a horizontal axis may differ from the body's, since the body's centre of pressure is
    known only to some centimetres (`load_sharing.PRESSURE_POINT_ERROR`): ``residual_moment`` says by how much.
    """
    if mass is not None and not (np.isfinite(mass) and mass > 0):
        raise DataError(f"mass must be a positive number of kilograms, got {mass:g}")
    factor = 1.0 if mass is None else mass / skeleton.total_mass()
    gravity = float(skeleton.gravity.norm())
    weight = factor * skeleton.total_mass() * gravity
    if weight <= 0:
        raise DataError(f"{skeleton.name}: mass and gravity must be positive to find ground forces")
    points = contact_points(skeleton, journal=journal)
    poses, axes, moving = _kinematics(skeleton, motion, cutoff)
    force, moment = (factor * x.sum(-2).numpy() for x in inertial_wrenches(skeleton, poses, moving))
    position, velocity = _lowest_points(points, poses, moving)
    contact = detect_contact(position, velocity, journal=journal)
    step = float(np.median(np.diff(motion.times)))
    wrench = _about_pelvis(force, moment, poses.position[:, _root(skeleton)].numpy(), contact.ground, weight)
    usable = contact.strength > USABLE
    carried = np.linalg.norm(force, axis=1) > NOTABLE * weight
    off = np.where(carried & usable.any(axis=1), outside_distance(wrench, position, usable), 0.0)
    outside = _lasting(off > TOO_FAR, motion.times)
    elsewhere = _blend(outside, max(1, round(BLEND / step)))

    pressed, solved = share_normal_forces(wrench, points, position, contact.strength, elsewhere, step)
    if not solved:
        journal.warn("the sharing of ground forces between the feet did not converge; they are only roughly right")
    normal, point = _per_foot(points, pressed, position, contact, carried & ~usable.any(axis=1))
    hips = _hips(skeleton, points, axes)
    sideways, twist = share_horizontal_forces(wrench, normal, point, hips, contact.ground, elsewhere)
    loads = _as_loads(motion.times, points, weight, normal, point, sideways, twist)
    explained_moment = np.sum([load.moment_about_origin for load in loads.loads], axis=0)
    left = force - loads.total_force()
    airborne = (np.linalg.norm(left, axis=1) > NOTABLE * weight) & ~usable.any(axis=1)
    sharing = Sharing(points, position, contact.strength, pressed, elsewhere, hips, wrench)
    left_moment = moment - explained_moment
    estimate = GroundEstimate(loads, left, left_moment, airborne, outside, contact.ground, weight, sharing)
    _report(estimate, off, elsewhere, motion.times, journal)
    return estimate


def _kinematics(skeleton: Skeleton, motion: Motion, cutoff: float | None) -> tuple[BodyPoses, JointAxes, BodyMotion]:
    """Poses, joint axes and motion of the bodies from filtered coordinates; coupled ones follow their couplers."""
    missing = [skeleton.coordinate_names[i] for i in skeleton.free_coordinates]
    missing = [name for name in missing if name not in motion.names]
    if missing:
        raise DataError(f"motion: it lacks {', '.join(missing)} of {skeleton.name}; give a motion of this model")
    q = np.zeros((len(motion.times), skeleton.nq))
    for name in motion.names:
        if name in skeleton.coordinate_names:
            q[:, skeleton.coordinate(name)] = motion.column(name)
    steps = np.diff(motion.times)
    times = motion.times
    if cutoff is not None:
        if len(steps) and np.ptp(steps) > 0.01 * np.median(steps):  # the filter needs one rate throughout
            times = np.linspace(times[0], times[-1], round((times[-1] - times[0]) / float(np.median(steps))) + 1)
            q = NaturalSpline(motion.times, q, degree=3, what="motion")(times)
        q = butterworth(q, 1.0 / float(np.median(np.diff(times))), cutoff, what="motion")
    spline = NaturalSpline(times, q, what="motion")
    states = (torch.as_tensor(np.ascontiguousarray(spline(motion.times, order))) for order in (0, 1, 2))
    return body_motion(skeleton, *skeleton.couple_derivatives(*states))


def _lowest_points(points: ContactPoints, poses: BodyPoses, moving: BodyMotion) -> tuple[Array, Array]:
    """Lowest points of the contact spheres [m] and velocities of the feet there [m/s], each [T, K, 3]."""
    body = [s.body for s in points.spheres]
    center = torch.tensor([s.center for s in points.spheres], dtype=torch.float64)
    down = torch.tensor([[0.0, -s.radius, 0.0] for s in points.spheres], dtype=torch.float64)
    arm = (poses.rotation[:, body] @ center[..., None])[..., 0] + down
    velocity = moving.velocity[:, body] + torch.linalg.cross(moving.angular_velocity[:, body], arm)
    return (poses.position[:, body] + arm).numpy(), velocity.numpy()


def _root(skeleton: Skeleton) -> int:
    return next(i for i, parent in enumerate(skeleton.parents) if parent == GROUND)


def _about_pelvis(force: Array, moment: Array, pelvis: Array, ground: float, weight: float) -> BodyWrench:
    """The whole body's wrench in body weights, moments about the point of the ground under the pelvis."""
    foot = np.stack([pelvis[:, 0], np.full(len(pelvis), ground), pelvis[:, 2]], axis=1)
    return BodyWrench(force / weight, (moment - np.cross(foot, force)) / weight, pelvis[:, [0, 2]])


def _lasting(mask: NDArray[np.bool_], times: Array) -> NDArray[np.bool_]:
    """The mask without what is shorter than `SUPPORTED`."""
    kept = np.zeros(len(times), dtype=bool)
    for run in runs_of(np.asarray(mask, dtype=np.float64)):
        kept[run] = times[run.stop - 1] - times[run.start] >= SUPPORTED
    return kept


def _blend(mask: NDArray[np.bool_], width: int) -> Array:
    """The mask with gradual edges: a mean over ``width`` frames about each."""
    padded = np.pad(mask.astype(np.float64), width, mode="edge")
    return np.clip(np.convolve(padded, np.full(width, 1.0 / width), mode="same")[width:-width], 0.0, 1.0)


def _per_foot(
    points: ContactPoints, pressed: Array, position: Array, contact: Contact, floating: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Vertical force of each foot in body weights [T, 2] and centre of pressure on the ground [m], shape [T, 2, 3].

    A foot off the ground carries exactly nothing but where the body is ``floating``: carried, no foot on the ground.
    """
    normal = np.empty((len(pressed), 2))
    point = np.empty((len(pressed), 2, 3))
    for foot in (0, 1):
        own = points.foot == foot
        strength = contact.strength[:, own].max(axis=1)
        touching = (strength > USABLE) | (floating & (strength > FLOATING))
        normal[:, foot] = pressed[:, own].sum(axis=1) * touching
        share = np.maximum(pressed[:, own], 1e-12)
        point[:, foot] = np.einsum("tk,tkx->tx", share / share.sum(axis=1, keepdims=True), position[:, own])
    point[..., 1] = contact.ground
    return normal, point


def _hips(skeleton: Skeleton, points: ContactPoints, axes: JointAxes) -> Array:
    """Where each leg hangs on the body that both legs share [m], shape [T, 2, 3]."""
    chains = [skeleton.ancestors(skeleton.body(body)) for body in points.bodies]
    tops = []
    for chain, other in (chains, chains[::-1]):
        own = [body for body in chain if body not in other]
        tops.append(axes.origin[:, own[-1]].numpy())
    return np.stack(tops, axis=1)


def _as_loads(
    times: Array, points: ContactPoints, weight: float, normal: Array, point: Array, sideways: Array, twist: Array
) -> Loads:
    loads = []
    for foot, side in enumerate(SIDES):
        force = weight * np.stack([sideways[:, foot, 0], normal[:, foot], sideways[:, foot, 1]], axis=1)
        moment = np.zeros_like(force)
        moment[:, 1] = weight * twist[:, foot]
        light = force[:, 1] < NO_POINT
        at = np.where(light[:, None], np.nan, point[:, foot])
        # Without a point the moment is the one about the ground origin, so that the wrench stays what it was.
        moment[light] += np.cross(point[light, foot], force[light])
        loads.append(Load(f"ground_force_{side}", points.bodies[foot], force, at, moment))
    return Loads(times, tuple(loads))


def _report(estimate: GroundEstimate, off: Array, elsewhere: Array, times: Array, journal: Journal) -> None:
    """Say where the feet do not explain the motion, when and by how much."""
    left = np.linalg.norm(estimate.residual_force, axis=1)
    weight = estimate.weight
    if runs := long_only(runs_of(np.asarray(estimate.airborne, dtype=np.float64)), times):
        frames = np.concatenate([np.arange(run.start, run.stop) for run in runs])
        journal.warn(
            f"the body is carried {spans(runs, times)} although no foot is on the ground (mean force "
            f"{left[frames].mean():.0f} N, {left[frames].mean() / weight:.0%} of body weight): it stands or holds on "
            "to something else than the ground found; no force was made up for it"
        )
    if runs := long_only(runs_of(np.asarray(estimate.outside, dtype=np.float64)), times):
        frames = np.concatenate([np.arange(run.start, run.stop) for run in runs])
        journal.warn(
            f"the centre of pressure lies outside of the feet {spans(runs, times)}, by up to "
            f"{100 * off[frames].max():.0f} cm: something else (a chair, a rail, an aid) carries the body too. There "
            "the feet got what balances the moment about the pelvis, as over a seat; "
            f"{left[frames].mean():.0f} N ({left[frames].mean() / weight:.0%} of body weight) on average are left "
            "unexplained"
        )
    rest = (elsewhere == 0) & ~estimate.airborne
    if rest.any():
        lever = np.linalg.norm(estimate.residual_moment[rest][:, [0, 2]], axis=1)
        journal.info(
            f"estimated ground forces leave {left[rest].mean():.1f} N ({left[rest].mean() / weight:.1%} of body "
            f"weight) and {lever.mean():.1f} N·m of the body's force and moment unexplained on average (largest "
            f"{left[rest].max():.0f} N, {lever.max():.0f} N·m)"
        )
