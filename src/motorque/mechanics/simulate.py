"""Forward simulation: what a body does under torques, gravity, loads, contact and its own passive forces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.mechanics.arguments import Wrench, check
from motorque.mechanics.backends import Backend
from motorque.mechanics.charts import Layout
from motorque.mechanics.contact import ContactModel
from motorque.mechanics.dynamics import forward_dynamics
from motorque.mechanics.integrators import Integrator, TooFast
from motorque.mechanics.loop_projection import close_loops
from motorque.mechanics.reduced import fill_positions, fold, narrow, narrow_positions
from motorque.mechanics.simulation_inputs import (
    STEP,
    STEP_IN_CONTACT,
    Controller,
    check_settings,
    check_start,
    contact_model,
    controller,
    forces_of_motions,
    loads_of_motions,
    locked_coordinates,
    of_motion,
)
from motorque.progress import Progress, silent
from motorque.skeleton.rotations import convert_positions
from motorque.skeleton.skeleton import Skeleton

SHORTEST = 1e-7
"""Stretch of time [s] below which speeds beyond all bounds are not a trial step's fault."""

LoadsInTime = Mapping[str, Wrench] | Callable[[float, Tensor, Tensor], Mapping[str, Wrench]]
"""Loads as of `forward_dynamics`, the same all the time or from the time, positions and speeds."""


class Forces(Protocol):
    """Forces that follow from where a body is and how it moves."""

    def __call__(self, skeleton: Skeleton, q: Tensor, v: Tensor) -> tuple[Tensor, Mapping[str, Wrench]]:
        """Generalized forces [..., nv] and loads by body name."""
        ...


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a body did.

    Args:
        times: [s], shape [T].
        q: Positions in the skeleton's format, shape [T, ..., nq].
        v: Speeds, shape [T, ..., nv].
        evaluations: How often accelerations were computed.
    """

    times: Tensor
    q: Tensor
    v: Tensor
    evaluations: int


def simulate(
    skeleton: Skeleton,
    q0: Tensor,
    v0: Tensor,
    controls: Tensor | Controller | None,
    times: Tensor,
    *,
    contact: str | ContactModel | None = None,
    forces: Forces | None = None,
    loads: LoadsInTime | None = None,
    method: str = "dopri5",
    rtol: float = 1e-6,
    atol: float = 1e-6,
    step: float | None = None,
    locked: Sequence[str] | None = None,
    backend: Backend = "auto",
    progress: Progress = silent,
) -> Simulation:
    """Integrate a body's motion; gradients flow through every step.

    Ball and free joints are integrated on the rotations, as rotation vectors from where they were a moment ago,
    whatever the skeleton's format: they stay rotations to rounding, and no angle is singular. Only where translations
    of a joint follow its angles, as in an ellipsoid joint, angles are integrated, up to gimbal lock. Coupled
    coordinates follow the ones that drive them. Points held together are put together again every few milliseconds.

    Args:
        skeleton: The skeleton.
        q0: Positions at the first time, shape [..., nq]; all motions of a batch are integrated together.
        v0: Speeds at the first time, shape [..., nv].
        controls: Generalized forces at ``times``, shape [T, ..., nv], linear in between; or a controller; or None.
        times: Times at which the motion is wanted [s], increasing, shape [T].
        contact: ``"hunt-crossley"`` for the skeleton's contact spheres on the floor Y = 0, a contact model, or None.
        forces: Further forces that follow from positions and speeds, such as a model's passive forces.
        loads: External loads on bodies.
        method: ``dopri5`` (Dormand and Prince's, adaptive), ``rk4`` or ``semi-implicit-euler`` (fixed steps).
        rtol: Relative error of a step, for ``dopri5``.
        atol: Absolute error of a step, for ``dopri5``.
        step: Length of a step [s], for fixed steps; each interval is divided evenly into steps not longer than this.
            None for a millisecond, or a fifth of one with contact; stiffer laws than the default ones need less.
        locked: Coordinates that keep still; None for those that the skeleton has locked.
        backend: Which implementation computes accelerations.
        progress: Told how far it is.

    Raises:
        DataError: Shapes, devices or precisions do not fit, times do not increase, times or the start are not finite, a
            locked coordinate moves at the start, there is no such method, or the integration diverges (the message
            says when, which coordinate and which motion).
        ModelError: As of `forward_dynamics`; contact is asked for and the skeleton has no spheres.

    Source: Dormand, Prince, J Comp Appl Math 6 (1980) 19-26, as in ``torchdiffeq``; the rest in `charts`.
    """
    given = check(skeleton, q0, {"v0": v0})
    contacts = contact_model(skeleton, contact)
    if step is None:
        step = STEP if contacts is None else STEP_IN_CONTACT
    check_settings(skeleton, times, method, rtol, atol, step)
    inner = _integrated(skeleton)
    layout = Layout.of(inner)
    q, v = given.tensors["q"], given.tensors["v0"]
    check_start(skeleton, q0=q, v0=v)
    if not given.reduced:
        q = narrow_positions(inner, convert_positions(q, skeleton, inner))
        v = narrow(skeleton, v)
    elif inner.rotations != skeleton.rotations:
        raise DataError(
            f"{skeleton.name}: q0 needs columns for coupled coordinates where ball joints are {skeleton.rotations}"
        )
    held = locked_coordinates(skeleton, v, locked)
    if backend == "auto" and q.device.type == "cpu":
        backend = "compiled"  # thousands of calls are coming

    def outside(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        q, v = layout.whole(q, v)
        return convert_positions(q, inner, skeleton), v

    by_time = controller(skeleton, controls, times, given.batch)
    acting = _Acting(inner, outside, by_time, contacts, forces, loads)

    def accelerations(time: float, q: Tensor, v: Tensor) -> Tensor:
        tau, wrenches = acting.at(time, q, v)
        return forward_dynamics(inner, q, v, tau, loads=wrenches, locked=held, backend=backend)

    integrator = Integrator(layout, accelerations, method, rtol, atol, step)
    found = [outside(q, v)]
    if not given.batch.numel():
        found *= len(times)  # no motion moves
        return Simulation(times, torch.stack([q for q, _ in found]), torch.stack([v for _, v in found]), 0)
    moments = times.detach().double().tolist()
    longest = float("inf")
    for start, end in zip(moments[:-1], moments[1:], strict=True):
        time = start
        while time < end:
            until = min(end, time + min(longest, max(layout.reach(v), 1e-9)))
            if inner.point_constraints:
                until = min(until, time + max(step, 2e-3))
            until = end if end - until < 1e-9 * (end - start) else until
            try:
                new_q, new_v = integrator.advance(time, until, q, v)
            except ArithmeticError as error:
                if isinstance(error, TooFast) and method == "dopri5" and until - time > SHORTEST:
                    longest = 0.5 * (until - time)  # perhaps it was a trial step that led too far, into a floor maybe
                    continue
                raise _diverged(skeleton, integrator, str(error)) from None
            q, v = close_loops(inner, new_q, new_v, held) if inner.point_constraints else (new_q, new_v)
            time, longest = until, 2 * longest
            progress("simulating", (time - moments[0]) / (moments[-1] - moments[0]))
        found.append(outside(q, v))
    return Simulation(
        times, torch.stack([q for q, _ in found]), torch.stack([v for _, v in found]), integrator.evaluations
    )


@dataclass(frozen=True, eq=False)
class _Acting:
    """Everything that acts on the body, at inner positions and speeds; the motions' batch shape is everything's."""

    skeleton: Skeleton
    outside: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    controls: Controller | None
    contact: ContactModel | None
    forces: Forces | None
    loads: LoadsInTime | None

    def at(self, time: float, q: Tensor, v: Tensor) -> tuple[Tensor, dict[str, Wrench]]:
        """Forces of the free coordinates, and loads."""
        tau, wrenches = torch.zeros_like(v), dict[str, Wrench]()
        if self.controls is not None or self.forces is not None or callable(self.loads):
            given_q, given_v = self.outside(q, v)
            if self.controls is not None:
                tau = tau + self._folded(q, self.controls(time, given_q, given_v), "what the controller returns")
            if callable(self.loads):
                _add(wrenches, loads_of_motions(self.skeleton, self.loads(time, given_q, given_v), v.shape[:-1]))
        if self.forces is not None:
            by_coordinate, by_body = self.forces(self.skeleton, q, v)
            tau = tau + self._folded(q, by_coordinate, "what the forces return")
            _add(wrenches, by_body)
        if self.loads is not None and not callable(self.loads):
            _add(wrenches, loads_of_motions(self.skeleton, self.loads, v.shape[:-1]))
        if self.contact is not None:
            _add(wrenches, self.contact.loads(self.skeleton, q, v))
        return tau, wrenches

    def _folded(self, q: Tensor, tau: Tensor, name: str) -> Tensor:
        tau = forces_of_motions(self.skeleton, name, tau, q.shape[:-1])
        if not self.skeleton.couplers or tau.shape[-1] != self.skeleton.nv:
            return tau
        return fold(self.skeleton, fill_positions(self.skeleton, q), tau)


def _integrated(skeleton: Skeleton) -> Skeleton:
    """The same with ball joints as quaternions; as angles where something else than the joint itself follows these."""
    if not skeleton.balls:
        return skeleton
    try:
        return skeleton.with_rotations("quaternion")
    except ModelError:
        return skeleton


def _add(wrenches: dict[str, Wrench], more: Mapping[str, Wrench]) -> None:
    for name, (force, moment) in more.items():
        before = wrenches.get(name)
        wrenches[name] = (force, moment) if before is None else (before[0] + force, before[1] + moment)


def _diverged(skeleton: Skeleton, integrator: Integrator, how: str) -> DataError:
    assert integrator.fastest is not None  # it failed
    size = integrator.fastest.abs().nan_to_num(float("inf"))
    worst = size.amax(-1)
    column = int(size.reshape(-1, size.shape[-1])[int(worst.argmax())].argmax())
    name = skeleton.coordinate_names[skeleton.free_coordinates[column]]
    return DataError(
        f"{skeleton.name}: the integration diverges at {integrator.latest:.4g} s{of_motion(worst == worst.amax())}, "
        f"{name} first ({how}); take a smaller step, or look at the forces there"
    )
