"""Refinement of a model's motion: `fitting.refine` for coordinates, each with a noise of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.fitting.contact_points import contact_points
from motorque.fitting.pose_smoothing import check_even
from motorque.fitting.refine import RefineSettings, standing
from motorque.fitting.refine_physics import Residual, StandingPoints, TorqueBend
from motorque.fitting.refine_solver import most_probable
from motorque.journal import Journal
from motorque.mechanics.backends import Backend
from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.plan import can_be_compiled
from motorque.mechanics.derivatives import inverse_dynamics_derivatives
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.jacobians import point_jacobian
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.loops import refuse_loops
from motorque.mechanics.speeds import has_balls
from motorque.progress import Progress, silent
from motorque.series.motion import Motion
from motorque.signals.adaptive import AdaptiveFit, adaptive_fit, blend, windows
from motorque.skeleton.skeleton import ContactSphere, Skeleton

Array = NDArray[np.float64]


MOTION_SETTINGS = RefineSettings(bend=0.0)
"""Mechanics for a model's motion: standing feet alone. Coordinates have few redundant joints, and torques that are held
back here lose more of their own than of the noise (on the generated walk, 60 Hz, 2 degrees of noise)."""


NOTHING = 1e-6
"""Noise of angles that is none [rad]: what files' digits leave."""


@dataclass(frozen=True, eq=False)
class MotionWindow:
    """One window of a motion, and what it was smoothed with before mechanics came in.

    Args:
        first: First frame.
        last: Frame after the last.
        values: The given free coordinates [rad or m], unwrapped, shape [last - first, n].
        fit: Their fit.
    """

    first: int
    last: int
    values: Array
    fit: AdaptiveFit


@dataclass(frozen=True, eq=False)
class RefinedMotion:
    """A motion without most of its noise.

    Args:
        motion: The refined motion, with the standard deviations that smoothing leaves, before mechanics came in.
        noise: Standard deviation of each coordinate's noise, as estimated from the motion itself [rad or m], shape
            [nq]; 0 for coordinates that follow others.
        white_share: Share of the noise's variance that is new in every frame.
        lasts: Time after which the correlation of the rest has fallen to 1/e [s]; 0 where there is no rest.
        windows: What smoothing found, window by window; their fits, blended, are the motion before mechanics.
    """

    motion: Motion
    noise: Array
    white_share: float
    lasts: float
    windows: tuple[MotionWindow, ...] = ()

    def sentence(self, skeleton: Skeleton) -> str:
        """What people are told of the noise found; ``skeleton`` is the motion's."""
        turning = [n for n in skeleton.free_coordinates if skeleton.coordinates[n].rotational]
        if not turning:
            return ""
        worst = turning[int(np.argmax(self.noise[turning]))]
        if self.noise[worst] < NOTHING:
            return "no noise that shows"
        # Coordinates that stay where they are, such as those that a file lacks, tell nothing of the others' noise.
        middle = np.degrees(np.median([x for x in self.noise[turning] if x >= NOTHING]))
        lasting = "" if self.lasts == 0 else f", {1 - self.white_share:.0%} of it lasting {self.lasts * 1000:.0f} ms"
        return (
            f"noise of {middle:.3g} degrees in the median coordinate, {np.degrees(self.noise[worst]):.3g} in "
            f"{self.motion.names[worst]}{lasting}"
        )


def refine_motion(
    skeleton: Skeleton,
    motion: Motion,
    *,
    settings: RefineSettings | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
) -> RefinedMotion:
    """Refine the motion of a model by its own noise, torques that bend little and feet that stay while they stand.

    Models with ball joints given by angles, or whose loops are closed by constraints, are smoothed without mechanics.

    Args:
        skeleton: The model.
        motion: All its coordinates, without gaps and at a constant rate.
        settings: How much mechanics count; `MOTION_SETTINGS` if not given.
        journal: Where the noise, and what was left out, is recorded.
        progress: Hears how far it is.

    Raises:
        DataError: Coordinates are missing, too few frames, a value that is no number, or a rate that changes.
    """
    settings = MOTION_SETTINGS if settings is None else settings
    journal = Journal() if journal is None else journal
    if motion.names != skeleton.coordinate_names:
        missing = [name for name in skeleton.coordinate_names if name not in motion.names]
        what = f"lacks {missing[0]}" if missing else "has its columns in another order than the model"
        raise DataError(
            f"motion: it {what}; give all {len(skeleton.coordinate_names)} coordinates in the model's order"
        )
    check_even(motion.times, "motion")
    free = list(skeleton.free_coordinates)
    values = motion.values[:, free].copy()
    angles = [n for n, c in enumerate(free) if skeleton.coordinates[c].rotational]
    if np.isfinite(values).all():
        values[:, angles] = np.unwrap(values[:, angles], axis=0)
    parts = windows(len(values))
    fits = [adaptive_fit(values[first:last], what="motion") for first, last in parts]
    body = _Body.of(skeleton, free, 1.0 / motion.rate, journal)
    total, variance, weight = np.zeros_like(values), np.zeros_like(values), np.zeros((len(values), 1))
    for (first, last), fit in zip(parts, fits, strict=True):
        weight[first:last] += blend(first, last, len(values))[:, None]
        total[first:last] += blend(first, last, len(values))[:, None] * fit.smoothed
    held = None if body is None or not settings.stand else body.standing(total / weight, journal)
    total[:] = 0.0
    for n, ((first, last), fit) in enumerate(zip(parts, fits, strict=True)):
        share = blend(first, last, len(values))[:, None]
        within = None if held is None else (held[0][first : last - 1], held[1])
        refined = fit.smoothed if body is None else _solve(body, fit, settings, within)
        total[first:last] += share * refined
        variance[first:last] += share * fit.standard_deviation() ** 2
        progress("refining", (n + 1) / len(parts))
    answer, std = np.zeros_like(motion.values), np.zeros_like(motion.values)
    answer[:, free], std[:, free] = total / weight, np.sqrt(variance / weight)
    answer = skeleton.couple(torch.as_tensor(answer)).numpy()
    kept = tuple(MotionWindow(a, b, values[a:b], fit) for (a, b), fit in zip(parts, fits, strict=True))
    return _told(Motion(motion.times, answer, motion.names, std), kept, free, skeleton, journal)


def _told(
    motion: Motion, kept: tuple[MotionWindow, ...], free: list[int], skeleton: Skeleton, journal: Journal
) -> RefinedMotion:
    fits = [window.fit for window in kept]
    noise = np.zeros(len(motion.names))
    noise[free] = np.sqrt(np.mean([np.diag(fit.noise) for fit in fits], axis=0))
    share, stays = (float(np.mean([getattr(fit, name) for fit in fits])) for name in ("white_share", "kept"))
    lasts = 0.0 if stays <= 0 else float(-1 / (motion.rate * np.log(stays)))
    found = RefinedMotion(motion, noise, share, lasts, kept)
    if said := found.sentence(skeleton):
        journal.info(said)
    outliers = sum(int((fit.weights < 0.5).sum()) for fit in fits)
    if outliers:
        journal.repair(f"{outliers} values far from the motion around them were given less weight")
    return found


def _solve(body: _Body, fit: AdaptiveFit, settings: RefineSettings, held: tuple[Array, Array] | None) -> Array:
    scale: Array | float = settings.bend
    slip: float | None = None

    def linearize(values: list[Array]) -> tuple[list[Residual], list[Array | None]]:
        nonlocal scale, slip
        found: list[Residual] = []
        if settings.bend > 0 and len(values[0]) > 4:
            bend = body.bend(values[0], scale)
            scale = bend.scale
            found.append(bend)
        if held is not None:
            stand = body.stand(values[0], held, slip, settings.slip * body.step)
            slip = stand.scale
            found.append(stand)
        return found, [None]

    return most_probable([fit], linearize, steps=settings.steps, inner=settings.inner)[0]


@dataclass(frozen=True, eq=False)
class _Body:
    """A model's mechanics by its free coordinates."""

    skeleton: Skeleton
    free: list[int]
    spheres: tuple[ContactSphere, ...]
    step: float
    backend: Backend

    @staticmethod
    def of(skeleton: Skeleton, free: list[int], step: float, journal: Journal) -> _Body | None:
        """None where mechanics can't be asked."""
        try:
            refuse_loops(skeleton)
        except ModelError:
            journal.info("the model's loops are closed by constraints: its motion is smoothed without mechanics")
            return None
        if has_balls(skeleton):
            journal.info("the model has ball joints given by angles: its motion is smoothed without mechanics")
            return None
        try:
            spheres = contact_points(skeleton, journal=journal).spheres
        except ModelError:
            spheres = ()
            journal.info("the model has no feet to hold to the ground")
        backend: Backend = "torch" if machine.why_not() or not can_be_compiled(skeleton) else "compiled"
        return _Body(skeleton, free, spheres, step, backend)

    def full(self, values: Array) -> Tensor:
        """All coordinates from the free ones [T, n]."""
        q = torch.zeros(len(values), self.skeleton.nq, dtype=torch.float64)
        q[:, self.free] = torch.as_tensor(values)
        return self.skeleton.couple(q)

    def coupling(self, q: Tensor) -> Array:
        """Change of all coordinates with the free ones, shape [T, nq, n]."""
        count = len(self.free)
        units = torch.zeros(count, self.skeleton.nv, dtype=q.dtype)
        units[torch.arange(count), self.free] = 1.0
        shape = (len(q), count, -1)
        _, moved, _ = self.skeleton.couple_derivatives(
            q[:, None].expand(*shape), units.expand(*shape), 0 * units.expand(*shape)
        )
        return moved.mT.numpy()

    def bend(self, values: Array, scale: Array | float) -> TorqueBend:
        """How generalized forces bend."""
        h = self.step
        rate = (values[2:] - values[:-2]) / (2 * h)
        second = (values[2:] - 2 * values[1:-1] + values[:-2]) / h**2
        q = self.full(values[1:-1])
        v, a = torch.zeros_like(q), torch.zeros_like(q)
        v[:, self.free], a[:, self.free] = torch.as_tensor(rate), torch.as_tensor(second)
        _, v, a = self.skeleton.couple_derivatives(q, v, a)
        with torch.no_grad():
            forces = inverse_dynamics(self.skeleton, q, v, a, backend=self.backend).numpy()
            by = inverse_dynamics_derivatives(self.skeleton, q, v, a, backend=self.backend)
        coupling = self.coupling(q)
        across = coupling.swapaxes(-1, -2)
        # How fast couplings change is left out: patellae weigh little.
        position, speed, acceleration = (
            across @ x.numpy() @ coupling for x in (by.by_position, by.by_speed, by.by_acceleration)
        )
        torques = (across @ forces[..., None])[..., 0]
        return TorqueBend.at(torques, ((position, speed, acceleration),), scale, h, group=1)

    def points(self, q: Tensor) -> Array:
        """Centres of the spheres in ground [m], shape [T, K, 3]."""
        with torch.no_grad():
            poses = forward_kinematics(self.skeleton, q)
            places = [poses.point(s.body, torch.tensor(s.center, dtype=q.dtype)) for s in self.spheres]
        return torch.stack(places, 1).numpy()

    def standing(self, values: Array, journal: Journal) -> tuple[Array, Array] | None:
        """Which points stand, see `refine.standing`."""
        if not self.spheres:
            return None
        lowest = self.points(self.full(values))
        lowest[..., 1] -= [sphere.radius for sphere in self.spheres]
        return standing(lowest, self.step, journal=journal, about=self.skeleton.name)

    def stand(self, values: Array, held: tuple[Array, Array], scale: float | None, least: float) -> StandingPoints:
        """How far standing feet move."""
        q = self.full(values)
        coupling = self.coupling(q)
        names = self.skeleton.body_names
        with torch.no_grad():
            levers = [
                point_jacobian(self.skeleton, q, names[s.body], torch.tensor(s.center, dtype=q.dtype)).numpy()
                @ coupling
                for s in self.spheres
            ]
        columns = np.tile(np.arange(len(self.free)), (len(self.spheres), 1))
        return StandingPoints.at(
            self.points(q), ((np.stack(levers, 1), columns),), (len(self.free),),
            weight=held[0], belt=held[1], scale=scale, least=least,
        )  # fmt: skip
