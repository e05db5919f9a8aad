"""The main job: from one recording to angles, torques, ground forces, files and a report."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
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
from motorque.fitting.heading import heading, quarter_turn, turn_loads, turn_markers
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
from motorque.skeleton.fullbody import Sex
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.bands import SOURCES, bands_of_analysis
from motorque.uncertainty.model_errors import MODEL_SOURCES
from motorque.workflows.clock import Clock, versions
from motorque.workflows.error_bars import DRAWS, error_bars, noise_of_markers, way, with_error_bars, write_error_bars
from motorque.workflows.inverse_dynamics import say_loops
from motorque.workflows.person import Person, fit_builtin, use_model, weigh
from motorque.workflows.recording import Recording, input_file, read_recording
from motorque.workflows.scale import scale_step
from motorque.workflows.smoothing import DEFAULT_CUTOFF, FILTER, FirstLook, choose_smoothing, smooth
from motorque.workflows.trial_loads import (
    loads_in_ground,
    loads_on_feet,
    report_missing_support,
    wrenches_on_bodies,
)

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
    model_errors: bool = False,
    journal: Journal | None = None,
    progress: Progress = silent,
    command: str = "",
) -> Path:
    """Analyse one marker recording, with or without force plates.

    Args:
        inputs: The recording (``.trc`` or ``.c3d``); exactly one.
        out: Folder for ``model.osim``, ``markers.trc``, ``kinematics.mot``, ``loads.mot``, ``kinetics.sto``,
            the standard deviations of these three (``kinematics_std.sto``, ``kinetics_std.sto``, ``loads_std.sto``),
            ``summary.json``, ``report.html`` and ``tables/``.
        model: The user's own model: scaled already, or generic if there is a static trial. The built-in skeleton if
            None.
        static: Static trial of the same person.
        loads: Ground reaction forces (``.mot``) or an ``ExternalLoads`` file, instead of plates in the recording.
        height: Body height [m].
        mass: Body mass [kg].
        sex: ``f``, ``m`` or ``unknown``.
        cutoff: Low-pass cutoff for motion and loads [Hz]; if None the one that promises the least error of the torques.
        up: The file's axis that points up, instead of what file and data say.
        units: Length unit of the recording, ``mm`` or ``m``, instead of the file's.
        start: First time [s].
        end: Last time [s].
        model_errors: Whether error bars hold the usual errors of a model too (segment masses, joint centres, centre of
            pressure), which do not show in a recording. Which torques can be trusted is judged with them in any case.
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
            given = None if loads is None else read_loads(loads, journal=journal)
            early, late = _with_margin(start, end, None if given is None else given.times)
            recording = read_recording(inputs[0], up=up, units=units, start=early, end=late, journal=journal)
            asked = recording.markers.between(start, end).times
            frames = len(asked)
            if frames < FEWEST_FRAMES:
                raise DataError(
                    f"{inputs[0]}: {frames} frames are too few, accelerations need {FEWEST_FRAMES}; give a "
                    "longer recording or interval"
                )
            still = None if static is None else read_recording(static, up=up, units=units, journal=journal)
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
        outside = Outside(loads, given, recording, turn)
        with clock("choosing the filter", 0.45):
            measured = recording.measured(markers)
            evidence = noise_of_markers(person.skeleton, measured, fit.motion, fit.weights, journal)
            choice = None
            if cutoff is None and evidence is not None:
                choice = choose_smoothing(
                    person.skeleton, fit.motion, evidence, partial(_first_look, person, outside), journal
                )
        with clock("smoothing", 0.5):
            chosen = cutoff if cutoff is not None else DEFAULT_CUTOFF if choice is None else choice.cutoff
            motion, rate, acceleration, applied = smooth(
                person.skeleton, fit.motion, chosen, cutoff is not None, journal
            )
        with clock("ground forces", 0.55):
            person, found, plates = outside.on_bodies(person, motion, applied, journal)
        with clock("inverse dynamics", 0.6):
            say_loops(person.skeleton, journal)
            kinetics = kinetics_of(person.skeleton, motion, rate, acceleration, found)
        with clock("error bars", 0.65):
            bands = None
            if evidence is not None:
                bands = error_bars(
                    lambda: bands_of_analysis(
                        person.skeleton,
                        markers=markers,
                        found=fit.motion,
                        motion=motion,
                        rate=rate,
                        acceleration=acceleration,
                        loads=found,
                        plates=plates,
                        cutoff=applied,
                        evidence=evidence,
                        sources=SOURCES + (MODEL_SOURCES if model_errors else ()),
                        beside=True,
                        method=way(len(motion.times)),
                        draws=DRAWS,
                    ),
                    journal,
                )
        with clock("cutting to the interval", 0.7):
            kept = within(motion.times, start, end, str(inputs[0]))
            bands = None if bands is None else bands.between(start, end)
            motion, rate, acceleration = motion.between(start, end), rate[kept], acceleration[kept]
            kinetics, found = kinetics.between(start, end), found.between(start, end)
            fit, markers = fit.between(start, end), markers.between(start, end)
            motion, kinetics, found = with_error_bars(bands, motion, kinetics, found)
            poses = forward_kinematics(person.skeleton, torch.as_tensor(motion.values))
            report_impossible_speeds(person.skeleton, rate, motion.times, journal)
            if plates is not None:
                report_missing_support(kinetics, person.skeleton, journal)
        with clock("writing files", 0.75):
            person.write_model(folder.path / "model.osim")
            write_trc(folder.path / "markers.trc", markers)
            write_motion(folder.path / "kinematics.mot", motion, person.skeleton)
            write_loads(folder.path / "loads.mot", found)
            write_kinetics(folder.path / "kinetics.sto", kinetics, person.skeleton)
            write_error_bars(folder.path, bands, motion, kinetics, found, person.skeleton)
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
                loads_measured=plates is not None,
                kinetics=kinetics,
                scales=person.scales,
                inputs=tuple(input_file(path, role) for path, role in files if path is not None),
                settings={
                    "cutoff_hz": applied,
                    "filter": FILTER,
                    "cutoff": "given" if cutoff is not None else "chosen" if choice is not None else "usual",
                    "loads": "measured" if plates is not None else "estimated from the motion",
                    "marker_weights": dict(fit.weights),
                    "start_s": float(motion.times[0]),
                    "end_s": float(motion.times[-1]),
                },
                versions=versions(),
                command=command,
                journal=journal,
                timings=clock.seconds,
                bands=bands,
                cutoff=choice,
            )
            write_report(analysis, folder.path)
    return out / "report.html"


def _with_margin(start: float | None, end: float | None, loads: np.ndarray | None) -> tuple[float | None, float | None]:
    """The interval to read [s]: a little more than is asked for, as far as the loads of a file last."""
    first, last = (-np.inf, np.inf) if loads is None else (float(loads[0]), float(loads[-1]))
    # Loads that do not even last for what was asked are refused later on.
    early = None if start is None else min(start, max(start - MARGIN, first))
    late = None if end is None else max(end, min(end + MARGIN, last))
    return early, late


def _first_look(
    person: Person, outside: Outside, motion: Motion, rate: np.ndarray, acceleration: np.ndarray, journal: Journal
) -> FirstLook:
    """Loads for a motion that is only smoothed to choose the cutoff by."""
    weighed, loads, plates = outside.on_bodies(person, motion, DEFAULT_CUTOFF, journal)
    return FirstLook(weighed.skeleton, motion, rate, acceleration, loads, plates)


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


@dataclass(frozen=True)
class Outside:
    """What acts on the body from outside, as far as it was measured.

    Args:
        path: File of loads, or None.
        given: What stands in it, or None.
        recording: The recording, which may have plates of its own.
        turn: Rotation about the vertical that the recording got, shape [3, 3].
    """

    path: Path | None
    given: Loads | ExternalLoads | None
    recording: Recording
    turn: np.ndarray

    def measured(self, skeleton: Skeleton, motion: Motion, journal: Journal) -> Loads | None:
        """Loads in ground at their own times, not filtered, or None where none were measured."""
        if self.path is not None and self.given is not None:
            if self.recording.plates is not None:
                journal.info("the recording's own force plates are not used, because --loads is given", str(self.path))
            upright = self.recording.upright
            return loads_in_ground(
                self.path, self.given, skeleton, motion, upright=upright, turn=self.turn, journal=journal
            )
        return None if self.recording.plates is None else turn_loads(self.recording.plates, self.turn)

    def on_bodies(
        self, person: Person, motion: Motion, cutoff: float | None, journal: Journal
    ) -> tuple[Person, Loads, Loads | None]:
        """The person as heavy as the loads show, the loads on bodies, and what was measured, not filtered."""
        plates = self.measured(person.skeleton, motion, journal)
        if plates is None:
            loads = estimate_ground_loads(person.skeleton, motion, cutoff=None, journal=journal)
        else:
            loads = loads_on_feet(plates, person.skeleton, motion, cutoff, journal)
        return weigh(person, motion, None if plates is None else loads, journal), loads, plates


def kinetics_of(
    skeleton: Skeleton, motion: Motion, rate: np.ndarray, acceleration: np.ndarray, loads: Loads
) -> Kinetics:
    """Generalized forces of a motion under loads; rates and accelerations of the coordinates, shape [T, nq]."""
    q, v, a = (torch.as_tensor(x) for x in (motion.values, rate, acceleration))
    v, a = speeds_from_rates(skeleton, q, v, a)
    tau = inverse_dynamics(skeleton, q, v, a, loads=wrenches_on_bodies(loads), ignore_constraints=True)
    return Kinetics(motion.times, tau.numpy(), motion.names)
