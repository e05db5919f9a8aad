"""The main job: from one recording to angles, torques, ground forces, files and a report."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch

from motorque.errors import DataError
from motorque.files.external_loads import ExternalLoads, check_cover, read_loads, write_loads
from motorque.files.motion_files import write_kinetics, write_motion
from motorque.files.output import OutputFolder
from motorque.files.trc import write_trc
from motorque.fitting.fit_checks import check_fit
from motorque.fitting.gimbal import report_impossible_speeds, steady_through_gimbal_lock
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.heading import heading, quarter_turn, turn_markers
from motorque.fitting.ik import inverse_kinematics
from motorque.fitting.side_swap import exchange_sides, side_evidence
from motorque.journal import Journal
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.mechanics.speeds import speeds_from_rates
from motorque.progress import Progress, silent
from motorque.report.analysis import Analysis
from motorque.report.write import write_report
from motorque.series import Kinetics, Loads, Markers, Motion
from motorque.series.markers import within
from motorque.signals import NaturalSpline, butterworth
from motorque.skeleton.fullbody import Sex
from motorque.skeleton.skeleton import Skeleton
from motorque.workflows.clock import Clock, versions
from motorque.workflows.inverse_dynamics import say_loops
from motorque.workflows.person import Person, fit_builtin, use_model, weigh
from motorque.workflows.recording import Recording, input_file, read_recording
from motorque.workflows.scale import scale_step
from motorque.workflows.trial_loads import (
    loads_from_file,
    loads_from_plates,
    report_missing_support,
    wrenches_on_bodies,
)

DEFAULT_CUTOFF = 6.0
"""Low-pass cutoff of motion and loads [Hz], usual for gait (Winter, Sidwall, Hobson, J. Biomech. 7 (1974) 157)."""

MARGIN = 1.0
"""Time before and after the interval asked for that is read with it [s]: six periods of the filter."""

FEWEST_FRAMES = 6
"""Quintic splines, which give velocities and accelerations, need as many."""


def analyze(
    inputs: list[Path],
    out: Path,
    *,
    model: Path | None = None,
    static: Path | None = None,
    loads: Path | None = None,
    height: float | None = None,
    mass: float | None = None,
    sex: Sex = "unknown",
    cutoff: float | None = None,
    up: str | None = None,
    units: str | None = None,
    start: float | None = None,
    end: float | None = None,
    journal: Journal | None = None,
    progress: Progress = silent,
    command: str = "",
) -> Path:
    """Analyse one marker recording, with or without force plates.

    Args:
        inputs: The recording (``.trc`` or ``.c3d``); exactly one.
        out: Folder for ``model.osim``, ``markers.trc``, ``kinematics.mot``, ``loads.mot``, ``kinetics.sto``,
            ``summary.json``, ``report.html`` and ``tables/``.
        model: The user's own model: scaled already, or generic if there is a static trial. The built-in skeleton if
            None.
        static: Static trial of the same person.
        loads: Ground reaction forces (``.mot``) or an ``ExternalLoads`` file, instead of plates in the recording.
        height: Body height [m].
        mass: Body mass [kg].
        sex: ``f``, ``m`` or ``unknown``.
        cutoff: Low-pass cutoff for motion and loads [Hz]; 6 if None.
        up: The file's axis that points up, instead of what file and data say.
        units: Length unit of the recording, ``mm`` or ``m``, instead of the file's.
        start: First time [s].
        end: Last time [s].
        journal: Every repair, assumption and warning; also in the report.
        progress: Told how far it is.
        command: The command that repeats the analysis, for the report.

    Returns:
        The path of the report.

    Raises:
        MotorqueError: An input is wrong; nothing is written then.
    """
    if len(inputs) != 1:
        raise DataError(f"{len(inputs)} recordings were given; analyze takes one trial: run it once for each")
    journal = journal if journal is not None else Journal()
    clock = Clock(progress)
    with OutputFolder(out) as folder:
        with clock("reading the recording", 0.02):
            # Filters and splines are off at the ends of what they see, so they see a little more than is asked for.
            early, late = (None if t is None else t + s * MARGIN for t, s in ((start, -1), (end, 1)))
            recording = read_recording(inputs[0], up=up, units=units, start=early, end=late, journal=journal)
            asked = recording.markers.between(start, end).times
            frames = len(asked)
            if frames < FEWEST_FRAMES:
                raise DataError(
                    f"{inputs[0]}: {frames} frames are too few, accelerations need {FEWEST_FRAMES}; give a "
                    "longer recording or interval"
                )
            still = None if static is None else read_recording(static, up=up, units=units, journal=journal)
            given = None if loads is None else read_loads(loads, journal=journal)
            if given is not None:
                check_cover(given.times, asked, what=str(loads))
        body_mass, mass_source = _mass(mass, recording, still)
        with clock("fitting the skeleton to the person", 0.1):
            size = Size(
                height=height or recording.height,
                height_source="given" if height else "from the recording's header",
                mass=body_mass,
                mass_source=mass_source,
                sex=sex,
            )
            person = _person(model, static, recording, still, size, folder.path, journal)
            markers = _right_way_round(person, recording.markers, journal)
            facing = heading(person.skeleton, markers, weights=person.weights)
            turn = quarter_turn(facing)
            _say_oblique(facing, journal)
            if not np.allclose(turn, np.eye(3)):
                markers = turn_markers(markers, turn)
                journal.repair(
                    "the recording was turned about the vertical by a multiple of 90° so that the person faces +X: "
                    "pelvis tilt and list are defined for that heading",
                    str(inputs[0]),
                )
        with clock("inverse kinematics", 0.25):
            fit = inverse_kinematics(person.skeleton, markers, weights=person.weights, journal=journal)
            fit = steady_through_gimbal_lock(person.skeleton, markers, fit, weights=person.weights, journal=journal)
            check_fit(person.skeleton, fit, name=str(inputs[0]), journal=journal)
        with clock("smoothing", 0.5):
            chosen = cutoff if cutoff is not None else DEFAULT_CUTOFF
            motion, rate, acceleration, applied = smooth(
                person.skeleton, fit.motion, chosen, cutoff is not None, journal
            )
            whole, kept = motion, within(motion.times, start, end, str(inputs[0]))
            motion, rate, acceleration = motion.between(start, end), rate[kept], acceleration[kept]
            fit, markers = fit.between(start, end), markers.between(start, end)
            report_impossible_speeds(person.skeleton, rate, motion.times, journal)
        with clock("ground forces", 0.55):
            found, measured = _loads(loads, given, recording, person, motion, whole, turn, applied, journal)
            person = weigh(person, motion, found if measured else None, journal)
        with clock("inverse dynamics", 0.7):
            say_loops(person.skeleton, journal)
            kinetics = kinetics_of(person.skeleton, motion, rate, acceleration, found)
            poses = forward_kinematics(person.skeleton, torch.as_tensor(motion.values))
            if measured:
                report_missing_support(kinetics, person.skeleton, journal)
        with clock("writing files", 0.75):
            person.write_model(folder.path / "model.osim")
            write_trc(folder.path / "markers.trc", markers)
            write_motion(folder.path / "kinematics.mot", motion, person.skeleton)
            write_loads(folder.path / "loads.mot", found)
            write_kinetics(folder.path / "kinetics.sto", kinetics, person.skeleton)
        with clock("writing the report", 0.85):
            files = [(inputs[0], "recording"), (static, "static trial"), (loads, "loads"), (model, "model")]
            analysis = Analysis(
                title=inputs[0].stem,
                skeleton=person.skeleton,
                subject=person.subject,
                motion=motion,
                velocity=rate,
                acceleration=acceleration,
                body_rotation=poses.rotation.numpy(),
                body_position=poses.position.numpy(),
                center_of_mass=center_of_mass(person.skeleton, poses).numpy(),
                markers=markers,
                marker_names=fit.model_markers.names,
                model_markers=fit.model_markers.positions,
                marker_errors=fit.errors,
                loads=found,
                loads_measured=measured,
                kinetics=kinetics,
                scales=person.scales,
                inputs=tuple(input_file(path, role) for path, role in files if path is not None),
                settings={
                    "cutoff_hz": applied,
                    "filter": "Butterworth, order 4 in total, forward and backward, cutoff corrected for both passes",
                    "loads": "measured" if measured else "estimated from the motion",
                    "marker_weights": dict(fit.weights),
                    "start_s": float(motion.times[0]),
                    "end_s": float(motion.times[-1]),
                },
                versions=versions(),
                command=command,
                journal=journal,
                timings=clock.seconds,
            )
            write_report(analysis, folder.path)
    return out / "report.html"


OBLIQUE = 10.0
"""Heading off the axes that is worth a word [deg]: it shifts pelvis tilt and list by its sine of each other."""


def _say_oblique(facing: float, journal: Journal) -> None:
    left = np.degrees(facing - np.pi / 2 * np.round(facing / (np.pi / 2)))
    if abs(left) > OBLIQUE:
        journal.warn(
            f"the person faces {abs(left):.0f}° away from the nearest axis of the laboratory: pelvis tilt and list, "
            "which are angles about the axes, mix by that much",
            "heading",
        )


class Size(TypedDict):
    """What is known of a person's size: height [m], mass [kg], where each came from, and sex."""

    height: float | None
    height_source: str
    mass: float | None
    mass_source: str
    sex: Sex


def _mass(mass: float | None, recording: Recording, still: Recording | None) -> tuple[float | None, str]:
    """Body mass: given, weighed by the plates in the static trial, or from the recording's own header."""
    if mass is not None:
        return mass, "given"
    if still is not None and still.plates is not None:
        weight = float(np.median(still.plates.total_force()[:, 1]))
        if weight > 100:
            return weight / 9.80665, "weighed by the force plates in the static trial"
    if recording.mass is not None:
        return recording.mass, "from the recording's header"
    return None, ""


def _person(
    model: Path | None,
    static: Path | None,
    recording: Recording,
    still: Recording | None,
    size: Size,
    folder: Path,
    journal: Journal,
) -> Person:
    if model is None:
        recordings = [recording.markers] if still is None else [still.markers, recording.markers]
        return fit_builtin(recordings, journal=journal, **size)
    if static is None or still is None:
        journal.assume("no static trial was given, so the model is taken to be scaled already", str(model))
        return use_model(model, journal=journal, **size)
    scaled = folder / "model.osim"
    with tempfile.TemporaryDirectory() as scratch:
        # The scaling step takes a file; this one is upright, in metres and repaired.
        upright = Path(scratch) / f"{static.stem}.trc"
        write_trc(upright, still.markers)
        scale_step(model, upright, mass=size["mass"], out=scaled, journal=journal, repair_sides=True)
    return use_model(scaled, journal=journal, **size)


def _right_way_round(person: Person, markers: Markers, journal: Journal) -> Markers:
    """The markers with left and right exchanged where that halves the marker error."""
    evidence = side_evidence(person.skeleton, markers, weights=person.weights)
    if evidence is None or not evidence.swapped:
        return markers
    journal.repair(f"left and right were exchanged in the recording and are put right ({evidence})", "markers")
    return exchange_sides(markers)


def smooth(
    skeleton: Skeleton, motion: Motion, cutoff: float, asked: bool, journal: Journal
) -> tuple[Motion, np.ndarray, np.ndarray, float | None]:
    """The filtered motion with its first and second derivatives, and the cutoff that was used.

    Without a filter where the recording is too short for one or sampled too slowly, unless one was asked for.
    """
    applied: float | None = cutoff
    try:
        values = np.ascontiguousarray(butterworth(motion.values, motion.rate, cutoff, what="the motion"))
    except DataError as error:
        if asked:
            raise
        journal.warn(f"the motion is not filtered: {error}", "filter")
        values, applied = motion.values, None
    values = skeleton.couple(torch.as_tensor(values)).numpy()
    spline = NaturalSpline(motion.times, values, degree=5, what="the motion")
    q, v, a = (torch.as_tensor(spline(motion.times, order)) for order in (0, 1, 2))
    _, v, a = skeleton.couple_derivatives(q, v, a)
    return Motion(motion.times, values, motion.names, motion.std), v.numpy(), a.numpy(), applied


def _loads(
    path: Path | None,
    given: Loads | ExternalLoads | None,
    recording: Recording,
    person: Person,
    motion: Motion,
    whole: Motion,
    turn: np.ndarray,
    cutoff: float | None,
    journal: Journal,
) -> tuple[Loads, bool]:
    skeleton = person.skeleton
    if path is not None and given is not None:
        if recording.plates is not None:
            journal.info("the recording's own force plates are not used, because --loads is given", str(path))
        return loads_from_file(
            path, given, skeleton, motion, upright=recording.upright, turn=turn, cutoff=cutoff, journal=journal
        ), True
    if recording.plates is not None:
        return loads_from_plates(recording.plates, skeleton, motion, turn=turn, cutoff=cutoff, journal=journal), True
    estimated = estimate_ground_loads(skeleton, whole, cutoff=None, journal=journal)
    return estimated.between(float(motion.times[0]), float(motion.times[-1])), False


def kinetics_of(
    skeleton: Skeleton, motion: Motion, rate: np.ndarray, acceleration: np.ndarray, loads: Loads
) -> Kinetics:
    """Generalized forces of a motion under loads; rates and accelerations of the coordinates, shape [T, nq]."""
    q, v, a = (torch.as_tensor(x) for x in (motion.values, rate, acceleration))
    v, a = speeds_from_rates(skeleton, q, v, a)
    tau = inverse_dynamics(skeleton, q, v, a, loads=wrenches_on_bodies(loads), ignore_constraints=True)
    return Kinetics(motion.times, tau.numpy(), motion.names)
