"""`id`: from a motion and external loads to the generalized forces, step by step as OpenSim's inverse dynamics tool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.files.external_loads import ExternalLoads, check_cover, interpolate_loads, read_loads
from motorque.files.motion_files import read_motion, write_kinetics
from motorque.files.osim import OsimModel, read_osim
from motorque.files.osim_forces import CONTACT, MUSCLES, has_contact_forces, read_model_forces
from motorque.files.output import replacing
from motorque.fitting.feet import has_feet
from motorque.fitting.load_checks import check_loads
from motorque.fitting.plates_to_feet import assign_plates
from motorque.journal import Journal
from motorque.mechanics.arguments import Wrench
from motorque.mechanics.body_forces import body_wrenches
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.inverse_dynamics import body_motion
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.model_forces import coordinate_forces
from motorque.mechanics.passive import ModelForces
from motorque.mechanics.speeds import has_balls, speeds_from_rates
from motorque.series import Kinetics, Loads, Motion
from motorque.signals import NaturalSpline, opensim_lowpass
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]


def id_step(
    model: str | Path,
    motion: str | Path,
    *,
    out: str | Path,
    journal: Journal,
    loads: str | Path | None = None,
    cutoff: float | None = None,
    exclude_forces: Sequence[str] | None = None,
    start: float | None = None,
    end: float | None = None,
    reduced: bool = False,
) -> Kinetics:
    """`motorque id`: files in, file out; see :func:`inverse_dynamics_step` for what is computed.

    Args:
        model: The ``.osim`` file.
        motion: The motion, ``.mot`` or ``.sto``.
        out: The ``.sto`` file for the generalized forces.
        journal: What was assumed, left out or looks wrong.
        loads: An ``ExternalLoads`` ``.xml`` or a ground reaction ``.mot``.
        cutoff: Cutoff for the coordinates [Hz], None for no filter.
        exclude_forces: Names or groups of the model's forces to leave out.
        start: First time to report [s].
        end: Last time to report [s].
        reduced: Whether to project through the couplers.

    Raises:
        MotorqueError: Any of the errors of the readers, of the step itself, or of writing; then nothing is written.
    """
    parsed = read_osim(model, journal=journal)
    moved = read_motion(motion, parsed.skeleton, journal=journal)
    pushed = None if loads is None else read_loads(loads, journal=journal)
    if pushed is not None:
        check_cover(pushed.times, moved.between(start, end).times, what=str(loads))
    kinetics = inverse_dynamics_step(
        parsed,
        moved,
        pushed,
        journal=journal,
        cutoff=cutoff,
        reduced=reduced,
        start=start,
        end=end,
        exclude_forces=exclude_forces,
    )
    with replacing(out) as beside:
        write_kinetics(beside, kinetics, parsed.skeleton)
    return kinetics


def inverse_dynamics_step(
    model: OsimModel | Skeleton,
    motion: Motion,
    loads: ExternalLoads | Loads | None = None,
    *,
    journal: Journal,
    cutoff: float | None = None,
    reduced: bool = False,
    start: float | None = None,
    end: float | None = None,
    exclude_forces: Sequence[str] | None = None,
    at: Array | None = None,
) -> Kinetics:
    """Generalized forces behind a motion, equal to those of OpenSim's ``InverseDynamicsTool``.

    Coordinates are filtered only if a cutoff is given, then become quintic splines, whose values and derivatives go
    into the equations of motion; loads are interpolated and otherwise untouched. Every coordinate is taken as it is
    in the motion, coupled ones included, and gets a force of its own.

    Args:
        model: The model file, or a bare skeleton (which has no forces of its own).
        motion: Its coordinates [rad or m] over time.
        loads: External loads: from an ``ExternalLoads`` file, whose bodies are kept (and doubtful ones reported); in
            ground on named bodies; or plates without bodies (``""``), which are given to the feet.
        journal: What was assumed, left out or looks wrong.
        cutoff: Cutoff of OpenSim's low-pass filter for the coordinates [Hz].
        reduced: Whether coupled coordinates' forces are projected on the coordinates that they follow, which then are
            the only ones reported.
        start: First time to report [s].
        end: Last time to report [s]; splines and filter use the whole motion all the same.
        exclude_forces: Forces of the model to leave out besides the muscles (and besides contact forces, if there are
            loads): names, groups, or ``contact``, ``actuators``, ``all``.
        at: Report at these times instead of the motion's own [s], shape [K].

    Returns:
        Generalized forces [N·m or N] at the motion's times between start and end.

    Raises:
        DataError: No coordinate of the model in the motion, too few frames, a wrong cutoff, loads that do not cover the
            motion or name bodies that are not there.
        ModelError: The model has a force of an unsupported type that is not excluded.
    """
    skeleton = model.skeleton if isinstance(model, OsimModel) else model
    q_samples = coordinate_samples(skeleton, motion, journal=journal)
    times = motion.between(start, end).times if at is None else np.asarray(at, dtype=np.float64)
    q, rate, acceleration = (torch.as_tensor(x) for x in states_at(motion.times, q_samples, times, cutoff=cutoff))
    if has_balls(skeleton):
        journal.info(
            "moments of ball and free joints are about the axes of their parent frame, from their true angular "
            "velocity; "
            "OpenSim's tool takes the rates of their angles for it"
        )
    say_loops(skeleton, journal)
    forces = _forces_of(model, loads is not None, exclude_forces, journal)
    wrenches = load_wrenches(skeleton, loads, q, times, journal=journal)
    poses, _, moving = body_motion(skeleton, q, rate, acceleration)
    for body, wrench in body_wrenches(forces.on_bodies, poses, moving).items():
        _add(wrenches, skeleton.body_names[body], wrench)
    v, a = speeds_from_rates(skeleton, q, rate, acceleration)
    tau = inverse_dynamics(skeleton, q, v, a, loads=wrenches, as_simbody=True, ignore_constraints=True)
    tau = tau - coordinate_forces(forces.on_coordinates, q, rate)
    names = skeleton.coordinate_names
    if reduced:
        tau = (skeleton.coupling_matrix(q).transpose(-1, -2) @ tau[..., None])[..., 0]
        names = tuple(names[i] for i in skeleton.free_coordinates)
    return Kinetics(times, tau.numpy(), names)


def say_loops(skeleton: Skeleton, journal: Journal) -> None:
    """Say that point constraints are ignored, if there are any: who holds a loop can't be told from its motion."""
    if skeleton.point_constraints:
        names = ", ".join(c.name for c in skeleton.point_constraints)
        journal.assume(
            f"no force is taken to pass through the point constraints {names}, as in OpenSim's tool, though part of "
            "what holds their loops may do so"
        )


def coordinate_samples(skeleton: Skeleton, motion: Motion, *, journal: Journal) -> Array:
    """A motion's coordinates in the skeleton's order [rad or m], shape [T, nq].

    Coordinates that the motion lacks follow their coupler or stay at their default.

    Raises:
        DataError: None of the motion's coordinates is the skeleton's, or a value is not a number.
    """
    known = [name for name in motion.names if name in skeleton.coordinate_names]
    if not known:
        raise DataError(
            f"motion: none of its coordinates ({', '.join(motion.names[:4])}…) belongs to {skeleton.name} "
            f"({', '.join(skeleton.coordinate_names[:4])}…); give a motion of this model"
        )
    q = skeleton.default_pose.detach().to(torch.float64).numpy()[None].repeat(len(motion.times), axis=0)
    for name in known:
        q[:, skeleton.coordinate(name)] = motion.column(name)
    if not np.isfinite(q).all():
        frame, column = (int(i) for i in np.argwhere(~np.isfinite(q))[0])
        raise DataError(
            f"motion: {skeleton.coordinate_names[column]} is not a number at {motion.times[frame]:g} s; fill the gap "
            "first"
        )
    missing = [i for i, name in enumerate(skeleton.coordinate_names) if name not in motion.names]
    if missing:
        coupled = skeleton.couple(torch.as_tensor(q)).numpy()
        q[:, missing] = coupled[:, missing]
        free = [skeleton.coordinate_names[i] for i in missing if i in skeleton.free_coordinates]
        if free:
            journal.assume(f"the motion lacks {', '.join(free)}; they stay at the model's default")
    return q


def states_at(
    sample_times: Array, samples: Array, times: Array, *, cutoff: float | None = None
) -> tuple[Array, Array, Array]:
    """Coordinates and their first and second derivatives as OpenSim's inverse dynamics tool takes them.

    Args:
        sample_times: Times of the samples [s], shape [T].
        samples: Coordinates [rad or m], shape [T, nq].
        times: Where to evaluate [s], shape [K].
        cutoff: Cutoff of OpenSim's low-pass filter [Hz], None for no filter.

    Returns:
        Values, rates and accelerations, each [K, nq].
    """
    if cutoff is not None:
        sample_times, samples = opensim_lowpass(sample_times, samples, cutoff)
    spline = NaturalSpline(sample_times, samples, what="motion")
    return spline(times), spline(times, 1), spline(times, 2)


def _forces_of(
    model: OsimModel | Skeleton, has_loads: bool, exclude: Sequence[str] | None, journal: Journal
) -> ModelForces:
    if isinstance(model, Skeleton):
        return ModelForces()
    left = [MUSCLES, *(exclude or ())]
    if has_loads and has_contact_forces(model):
        left.append(CONTACT)
        journal.assume("the model's contact forces are left out because external loads are given", str(model.path))
    return read_model_forces(model, left, journal=journal)


def load_wrenches(
    skeleton: Skeleton, loads: ExternalLoads | Loads | None, q: Tensor, times: Array, *, journal: Journal
) -> dict[str, Wrench]:
    """External loads as wrenches on bodies along a motion.

    Args:
        skeleton: The skeleton.
        loads: The loads at their own times.
        q: Coordinates at ``times`` [rad or m], shape [K, nq].
        times: The motion's times [s], shape [K].
        journal: Assignments, and what looks wrong.

    Returns:
        Force [N] and moment about the ground origin [N·m] by body name, each [K, 3].
    """
    if loads is None:
        return {}
    if isinstance(loads, ExternalLoads):
        placed = loads.at(times).in_ground(skeleton, forward_kinematics(skeleton, q))
    else:
        placed = interpolate_loads(loads, times)
    homeless = tuple(load for load in placed.loads if not load.body)
    if homeless:
        settled = tuple(load for load in placed.loads if load.body)
        found = assign_plates(Loads(times, homeless), skeleton, q.numpy(), journal=journal)
        placed = Loads(times, settled + found.loads)
    elif has_feet(skeleton):
        check_loads(placed, skeleton, q.numpy(), journal=journal)
    wrenches: dict[str, Wrench] = {}
    for load in placed.loads:
        skeleton.body(load.body)
        _add(wrenches, load.body, (torch.as_tensor(load.force), torch.as_tensor(load.moment_about_origin)))
    return wrenches


def _add(wrenches: dict[str, Wrench], body: str, wrench: Wrench) -> None:
    before = wrenches.get(body)
    wrenches[body] = wrench if before is None else (before[0] + wrench[0], before[1] + wrench[1])
