"""`ik`: from a model and a marker file to a motion file, as OpenSim's inverse kinematics tool does it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motorque.errors import DataError
from motorque.files.ik_setup import IKSetup, read_ik_setup
from motorque.files.motion_files import read_motion, write_motion
from motorque.files.osim import read_osim
from motorque.files.output import replacing
from motorque.files.storage import Table, write_storage
from motorque.files.trc import read_trc
from motorque.fitting.fit_checks import check_fit
from motorque.fitting.ik import CoordinateTask, IKResult, inverse_kinematics
from motorque.fitting.marker_quality import find_problems
from motorque.fitting.side_swap import side_evidence
from motorque.journal import Journal
from motorque.progress import Progress, silent
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton

FEW_MARKERS = 6
"""A free body takes three markers, and one with limbs more: fewer than this are probably meant for another model."""


def ik_step(
    model: Path,
    markers: Path,
    *,
    setup: Path | None = None,
    tasks: Path | None = None,
    start: float | None = None,
    end: float | None = None,
    out: Path,
    errors: Path | None = None,
    journal: Journal,
    progress: Progress = silent,
) -> IKResult:
    """Inverse kinematics from files to files.

    Args:
        model: Scaled model (``.osim``).
        markers: Marker file (``.trc``).
        setup: InverseKinematicsTool setup: its task set and time range are used, its file names are not.
        tasks: IKTaskSet file; instead of the setup's.
        start: First time [s]; the setup's if None.
        end: Last time [s]; the setup's if None.
        out: Motion file to write, degrees.
        errors: Marker error file to write, with OpenSim's columns [m²; m; m].
        journal: Where repairs and assumptions are recorded.
        progress: Told how far it is.

    Raises:
        MotorqueError: An input is wrong; nothing is written.
    """
    skeleton = read_osim(model, journal=journal).skeleton
    plan = _plan(setup, tasks)
    if plan.time_range is not None:
        start = plan.time_range[0] if start is None else start
        end = plan.time_range[1] if end is None else end
    recording = read_trc(markers, end=end, journal=journal).between(start, end)
    weights = plan.marker_weights or None
    if weights is not None:
        unknown = [
            n for n, w in weights.items() if w > 0 and (n not in skeleton.marker_names or n not in recording.names)
        ]
        if unknown:
            journal.info(
                f"tasks for markers that the model or the recording lacks: {', '.join(unknown)}", str(tasks or setup)
            )
    _report_markers(recording, skeleton, str(markers), journal)
    wanted = coordinate_tasks(skeleton, plan, recording.times, journal)
    evidence = side_evidence(skeleton, recording, weights=weights, tasks=wanted)
    if evidence is not None and evidence.swapped:
        raise DataError(
            f"{markers}: left and right seem exchanged ({evidence}); exchange the labels, or use `motorque analyze`, "
            "which does"
        )
    result = inverse_kinematics(
        skeleton,
        recording,
        weights=weights,
        tasks=wanted,
        journal=journal,
        progress=lambda done, total: progress("inverse kinematics", done / total),
    )
    check_fit(skeleton, result, name=str(markers), journal=journal)
    with replacing(out) as path:
        write_motion(path, result.motion, skeleton, name=out.stem)
        if errors is not None:
            write_marker_errors(errors, result)
    return result


def _report_markers(recording: Markers, skeleton: Skeleton, name: str, journal: Journal) -> None:
    """Say what is wrong with the markers; like OpenSim's tool this step uses them as they are."""
    for problem in find_problems(recording):
        if problem.kind == "gap":
            journal.info(str(problem), problem.marker)
        else:
            journal.warn(f"{problem}; it is used as it is (`motorque analyze` repairs it)", problem.marker)
    known = sum(n in skeleton.marker_names for n in recording.names)
    if 0 < known < min(FEW_MARKERS, len(recording.names)):
        journal.warn(f"only {known} of {len(recording.names)} markers are on the model; is it the right one?", name)


def _plan(setup: Path | None, tasks: Path | None) -> IKSetup:
    plan = IKSetup() if setup is None else read_ik_setup(setup)
    if tasks is None:
        return plan
    own = read_ik_setup(tasks)
    return IKSetup(
        own.marker_weights, own.coordinate_tasks, time_range=plan.time_range, coordinate_file=plan.coordinate_file
    )


def coordinate_tasks(
    skeleton: Skeleton, plan: IKSetup, times: np.ndarray, journal: Journal
) -> dict[str, CoordinateTask]:
    """The coordinate tasks of a setup with their values [rad or m]; unknown coordinates are recorded and left out.

    Raises:
        DataError: A task takes its value from a file and the setup names none.
    """
    found: dict[str, CoordinateTask] = {}
    motion = None
    for task in plan.coordinate_tasks:
        if task.name not in skeleton.coordinate_names:
            journal.info(f"the task for coordinate {task.name} is not used: the model has none of that name", task.name)
            continue
        if task.weight == 0:
            continue
        if task.source == "from_file":
            if plan.coordinate_file is None:
                raise DataError(
                    f"the task for {task.name} takes its value from a file, but the setup names no coordinate_file"
                )
            motion = motion or read_motion(plan.coordinate_file, skeleton, journal=journal)
            found[task.name] = CoordinateTask(task.weight, np.interp(times, motion.times, motion.column(task.name)))
        else:
            default = skeleton.coordinates[skeleton.coordinate(task.name)].default
            found[task.name] = CoordinateTask(task.weight, default if task.source == "default_value" else task.value)
    return found


def write_marker_errors(path: Path, result: IKResult) -> None:
    """Marker errors with OpenSim's columns: sum of squares [m²], root mean square [m], largest [m].

    As in OpenSim's file, a marker that is not seen counts as one without error; :attr:`IKResult.rms` leaves it out.
    """
    error = np.nan_to_num(result.errors)
    data = np.stack([(error**2).sum(1), np.sqrt((error**2).mean(1)), error.max(axis=1)], axis=1)
    columns = ("total_squared_error", "marker_error_RMS", "marker_error_max")
    with replacing(path) as scratch:
        write_storage(scratch, Table("ik_marker_errors", result.motion.times, columns, data, {}, False))
