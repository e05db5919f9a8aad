"""Inverse kinematics: the coordinates whose markers come nearest to the measured ones, all frames at once.

Per frame it minimizes what OpenSim's tool minimizes,

    sum_m w_m |p_m(q) - y_m|² / (2 sum_m w_m)  +  sum_c w_c (q_c - q̂_c)² / 2,

over the markers that are seen, within the ranges of clamped coordinates, with locked ones fixed and couplers obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from motorque.errors import DataError
from motorque.fitting.ik_start import starting_poses
from motorque.fitting.least_squares import solve_bounded
from motorque.fitting.marker_normal_equations import MarkerSystem
from motorque.fitting.point_constraints import STAGES, PointConstraintPenalty
from motorque.journal import Journal
from motorque.mechanics.kinematics import marker_positions
from motorque.series import Markers, Motion
from motorque.series.markers import within
from motorque.skeleton.skeleton import Skeleton

KEYFRAME_STEPS = (0.64, 0.08)
"""Times between the frames that are solved first, coarse then fine [s]; within the second an angle at 10 rad/s turns by
0.8 rad."""

REPAIR_DEPTH, REPAIR_ROUNDS = 8, 20
"""How far beyond a jump a neighbour's pose is tried, and how often."""

NOTHING = 1e-20
"""What no further round is worth [m²]: markers that fit exactly would otherwise never settle."""

BLOCK = 256
"""Frames solved together: few enough that their matrices (about 20 kB a frame) stay in the processor's cache."""


@dataclass(frozen=True)
class CoordinateTask:
    """A coordinate that should stay near a value: ``value`` [rad or m] a number or one per frame."""

    weight: float
    value: float | NDArray[np.float64]


@dataclass(frozen=True)
class IKResult:
    """What inverse kinematics found.

    Args:
        motion: Coordinates over time.
        model_markers: The fitted markers on the model, in ground.
        errors: Distance between model and measured marker [m], shape [T, M]; NaN where it was not seen.
        weights: Weight of each marker, by name.
        converged: Whether each frame's fit settled, shape [T], bool.
    """

    motion: Motion
    model_markers: Markers
    errors: NDArray[np.float64]
    weights: Mapping[str, float] = field(default_factory=dict)
    converged: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))

    def between(self, start: float | None, end: float | None) -> IKResult:
        """The frames with start <= time <= end [s]; raises :class:`DataError` if there are none."""
        keep = within(self.motion.times, start, end, "motion")
        return IKResult(
            self.motion.between(start, end),
            self.model_markers.between(start, end),
            self.errors[keep],
            self.weights,
            self.converged[keep],
        )

    @property
    def rms(self) -> NDArray[np.float64]:
        """Root mean square marker error of each frame over the markers seen [m], shape [T]."""
        seen = np.isfinite(self.errors)
        return np.asarray(np.sqrt(np.where(seen, self.errors, 0.0).__pow__(2).sum(1) / seen.sum(1).clip(1)))


def inverse_kinematics(
    skeleton: Skeleton,
    markers: Markers,
    *,
    weights: Mapping[str, float] | None = None,
    tasks: Mapping[str, CoordinateTask] | None = None,
    start: NDArray[np.float64] | None = None,
    in_sequence: bool = True,
    journal: Journal | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> IKResult:
    """Fit the skeleton's coordinates to measured markers.

    Args:
        skeleton: The skeleton with its markers.
        markers: Measured markers in ground [m]; those that the skeleton lacks are left out and said.
        weights: Weight by marker name; markers that it does not name count nothing if it is given, else 1.
        tasks: Coordinates that should stay near a value, by name.
        start: Coordinates to start from instead of the automatic start [rad or m], shape [T, nq].
        in_sequence: Whether frames follow each other closely, so that a pose helps to find the next; False for frames
            picked from here and there, whose times mean nothing.
        journal: Where unused markers and frames without a fit are recorded.
        progress: Called with (frames done, all frames).

    Raises:
        DataError: No marker of the recording is on the model, or none is ever seen.
    """
    journal = journal if journal is not None else Journal()
    fitted, weight = _choose_markers(skeleton, markers, weights, journal)
    positions = [skeleton.marker_names.index(name) for name in fitted]
    body = skeleton.with_markers([skeleton.markers[i] for i in positions], skeleton.marker_position[positions])
    measured = torch.as_tensor(markers.select(fitted).positions, dtype=torch.float64)
    seen = torch.isfinite(measured[..., 0])
    w = torch.where(seen, torch.tensor(weight, dtype=torch.float64), 0.0)
    w = w / w.sum(-1, keepdim=True).clamp(min=1e-300)
    targets = torch.nan_to_num(measured)
    solver = _Solver(body, targets, w, _tasks(skeleton, tasks, len(targets)))
    q0 = body.default_pose
    first = (
        starting_poses(body, targets, w, q0)
        if start is None
        else body.couple(torch.as_tensor(start, dtype=torch.float64))
    )
    every = torch.arange(len(first))
    if start is None and in_sequence:
        first = solver.approach(first, markers.times)
    q, cost, converged = solver.solve_all(first, every, progress)
    if start is None and in_sequence:
        q, cost, settled = solver.repair_jumps(q, cost, every, markers.times)
        converged |= settled
    q = _unwrap(body, q) if in_sequence else q
    blind = np.flatnonzero(seen.sum(-1).numpy() == 0)
    if len(blind):
        first_blind = f"{markers.times[blind[0]]:g} s"
        journal.warn(f"{len(blind)} frames have no marker at all (first at {first_blind}); their pose is a guess", "ik")
    stuck = int((~converged).sum())
    if stuck:
        journal.warn(
            f"inverse kinematics did not settle in {stuck} of {len(q)} frames; their pose is the best one found", "ik"
        )
    model = marker_positions(body, q)
    error = torch.where(seen, (model - targets).norm(dim=-1), torch.nan).numpy()
    return IKResult(
        Motion(markers.times, q.numpy(), skeleton.coordinate_names),
        Markers(markers.times, model.numpy(), fitted),
        error,
        dict(zip(fitted, weight, strict=True)),
        converged.numpy(),
    )


def _choose_markers(
    skeleton: Skeleton, markers: Markers, weights: Mapping[str, float] | None, journal: Journal
) -> tuple[tuple[str, ...], list[float]]:
    common = [n for n in markers.names if n in skeleton.marker_names]
    if not common:
        raise DataError(
            f"no marker of the recording ({', '.join(markers.names[:6])}…) is on the model "
            f"({', '.join(skeleton.marker_names[:6])}…); rename them or give another model"
        )
    alone = [n for n in markers.names if n not in skeleton.marker_names]
    if alone:
        journal.info(
            f"{len(alone)} markers of the recording are not on the model and are not used: {', '.join(alone)}", "ik"
        )
    chosen = {n: 1.0 if weights is None else float(weights.get(n, 0.0)) for n in common}
    chosen = {n: w for n, w in chosen.items() if w > 0}
    if not chosen:
        raise DataError("no marker of the recording has a weight above zero; check the task set")
    if not markers.select(list(chosen)).seen.any():
        raise DataError("no marker that the model knows is ever seen; check the recording")
    return tuple(chosen), list(chosen.values())


def _tasks(skeleton: Skeleton, tasks: Mapping[str, CoordinateTask] | None, frames: int) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(skeleton.nq, dtype=torch.float64)
    value = torch.zeros(frames, skeleton.nq, dtype=torch.float64)
    for name, task in (tasks or {}).items():
        index = skeleton.coordinate(name)
        if skeleton.coordinates[index].locked:
            continue
        weight[index] = task.weight
        value[:, index] = torch.as_tensor(task.value, dtype=torch.float64)
    return weight, value


class _Solver:
    """The fit of one recording: marker system, couplers, locks and bounds put together."""

    def __init__(self, skeleton: Skeleton, targets: Tensor, weights: Tensor, tasks: tuple[Tensor, Tensor]) -> None:
        self.skeleton, self.targets, self.weights = skeleton, targets, weights
        self.system = MarkerSystem(skeleton)
        self.task_weight, self.task_value = tasks
        self.stages = [PointConstraintPenalty(skeleton, s) for s in STAGES] if skeleton.point_constraints else [None]
        self.constraints = self.stages[-1]
        self.variables = [i for i in skeleton.free_coordinates if not skeleton.coordinates[i].locked]
        self.has_tasks = bool((self.task_weight > 0).any())
        self.keep = torch.tensor(self.variables)
        bounds = [
            skeleton.coordinates[i].range if skeleton.coordinates[i].clamped else (-np.inf, np.inf)
            for i in self.variables
        ]
        self.lower, self.upper = (torch.tensor(b, dtype=torch.float64) for b in zip(*bounds, strict=True))
        self.held = skeleton.default_pose

    def expand(self, x: Tensor) -> Tensor:
        """All coordinates from the variables, [K, n] → [K, nq]: locked ones at their default, couplers obeyed."""
        q = self.held.expand(len(x), -1).clone()
        q[:, self.variables] = x
        return self.skeleton.couple(q)

    def equations(self, x: Tensor, which: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cost, gradient, Gauss-Newton matrix and the rest of the Hessian by the variables."""
        q = self.expand(x)
        cost, gradient, matrix, curvature = self.system.normal_equations(q, self.targets[which], self.weights[which])
        if self.has_tasks:
            offset = q - self.task_value[which]
            cost = cost + 0.5 * (self.task_weight * offset.square()).sum(-1)
            gradient = gradient + self.task_weight * offset
            matrix = matrix + torch.diag(self.task_weight)
        if self.constraints is not None:
            extra = self.constraints.normal_equations(q)
            cost, gradient, matrix = cost + extra[0], gradient + extra[1], matrix + extra[2]
        if self.skeleton.couplers:
            gradient, matrix, curvature = self.skeleton.fold_couplers(q, gradient, matrix, curvature)
        if len(self.variables) == self.skeleton.nq:
            return cost, gradient, matrix, curvature
        block = (slice(None), self.keep[:, None], self.keep)
        return cost, gradient[:, self.keep], matrix[block], curvature[block]

    def solve(self, q: Tensor, which: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Coordinates [K, nq], costs [K] and convergence [K] of some frames from given starts."""
        x = q[:, self.variables]
        for constraints in self.stages:
            self.constraints = constraints
            solution = solve_bounded(lambda y, k: self.equations(y, which[k]), x, self.lower, self.upper, floor=NOTHING)
            x = solution.x
        return self.expand(x), solution.cost, solution.converged

    def approach(self, q: Tensor, times: NDArray[np.float64]) -> Tensor:
        """Better starts for all frames [T, nq]: a few frames are solved from far, and their poses, interpolated, are
        near enough for the next ones to follow in a few rounds.
        """
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 1.0
        every = torch.arange(len(q))
        for step in KEYFRAME_STEPS:
            stride = max(1, round(step * rate))
            if stride == 1 or len(q) < 4 * stride and step != KEYFRAME_STEPS[-1]:
                continue
            keys = every[torch.unique(torch.cat([every[::stride], every[-1:]]))]
            found, cost, _ = self.solve_all(q[keys], keys, None)
            found, _, _ = self.repair_jumps(found, cost, keys, times)
            q = _interpolate(_unwrap(self.skeleton, found), times[keys.numpy()], times)
        return q

    def solve_all(
        self, q: Tensor, which: Tensor, progress: Callable[[int, int], None] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Like :meth:`solve`, in blocks that bound the memory."""
        found = []
        for start, frames in zip(q.split(BLOCK), which.split(BLOCK), strict=True):
            found.append(self.solve(start, frames))
            if progress is not None:
                progress(int(frames[-1]) + 1, len(self.targets))
        x, cost, settled = (torch.cat(part) for part in zip(*found, strict=True))
        return x, cost, settled

    def repair_jumps(
        self, q: Tensor, cost: Tensor, frames: Tensor, times: NDArray[np.float64]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Where neighbouring poses landed in different minima, try the neighbour's and keep the better one.

        A joint turns by less than 30 rad/s (a sprinter's knee reaches 20), so a larger step is a sign; so is one of
        more than a radian.

        Args:
            q: Poses [K, nq]; changed in place, as is ``cost`` [K].
            frames: Which frames they are, increasing, shape [K].
            times: Times of all frames [s].

        Returns:
            Poses, costs, and which were replaced by a settled fit.
        """
        angle = [i for i, c in enumerate(self.skeleton.coordinates) if c.rotational]
        limit = torch.as_tensor(30.0 * np.diff(times[frames.numpy()])).clamp(min=0.05, max=1.0)
        mended = torch.zeros(len(q), dtype=torch.bool)
        depth = torch.arange(REPAIR_DEPTH)
        for _ in range(REPAIR_ROUNDS):
            turn = (torch.diff(q[:, angle], dim=0) + np.pi).remainder(2 * np.pi) - np.pi
            jump = torch.nonzero((turn.abs() > limit[:, None]).any(-1))[:, 0]
            improved = False
            for side in (1, -1):
                # Poses beyond the jump, some frames deep, start from the pose before it.
                which = (jump[:, None] + 1 + depth) if side == 1 else (jump[:, None] - depth)
                source = (jump if side == 1 else jump + 1)[:, None].expand_as(which)
                inside = (which >= 0) & (which < len(q))
                unique, first = np.unique(which[inside].numpy(), return_index=True)
                to, origin = torch.as_tensor(unique), source[inside][torch.as_tensor(first)]
                if len(to) == 0:
                    continue
                x, c, ok = self.solve(q[origin], frames[to])
                better = c < cost[to] * (1 - 1e-6)
                improved |= bool(better.any())
                q[to[better]], cost[to[better]], mended[to[better]] = x[better], c[better], ok[better]
            if not improved:
                break
        return q, cost, mended


def _interpolate(q: Tensor, times: NDArray[np.float64], wanted: NDArray[np.float64]) -> Tensor:
    """Coordinates at other times by cubics that do not overshoot; shape [T, nq]."""
    if len(times) == 1:
        return q.expand(len(wanted), -1).clone()
    return torch.as_tensor(np.ascontiguousarray(PchipInterpolator(times, q.numpy(), axis=0)(wanted)))


def _unwrap(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Angles that may turn freely continue over ±180° instead of jumping by 360°."""
    values = q.numpy().copy()
    for index, coordinate in enumerate(skeleton.coordinates):
        if coordinate.rotational and index in skeleton.free_coordinates:
            smooth = np.unwrap(values[:, index])
            low, high = coordinate.range if coordinate.clamped else (-np.inf, np.inf)
            if smooth.min() >= low and smooth.max() <= high:
                values[:, index] = smooth
    return skeleton.couple(torch.as_tensor(values))
