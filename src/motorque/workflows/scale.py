"""`scale`: from a generic model and a static trial to a scaled model, as OpenSim's Scale tool does it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np

from motorque.errors import DataError
from motorque.files.ik_setup import IKSetup
from motorque.files.osim import FrameFinder, OsimModel, osim_from_tree, read_osim
from motorque.files.osim_edit import write_edited
from motorque.files.osim_scale import scale_osim
from motorque.files.osim_scale_markers import drop_markers, merge_marker_set, move_markers
from motorque.files.scale_setup import MEASUREMENTS, PlacerPlan, ScaleSetup, read_scale_setup
from motorque.files.trc import read_trc
from motorque.fitting.marker_placement import place_markers
from motorque.fitting.scale import measure_scales
from motorque.fitting.scale_measurements import automatic_measurements, static_weights
from motorque.fitting.side_swap import exchange_sides, side_evidence
from motorque.journal import Journal
from motorque.series import Markers
from motorque.skeleton.skeleton import Skeleton
from motorque.workflows.inverse_kinematics import coordinate_tasks

MILLIMETRE = 1e-3


def scale_step(
    model: Path,
    static: Path | None,
    *,
    setup: Path | None = None,
    mass: float | None = None,
    out: Path,
    journal: Journal,
    repair_sides: bool = False,
) -> OsimModel:
    """Scale a model from files to a file.

    Args:
        model: Generic model (``.osim``), of any version; the result keeps its version and all that is not scaled.
        static: Static trial (``.trc``); the setup's own if None.
        setup: ScaleTool setup: its marker set, measurements, factors, tasks and time ranges are used, its model and
            output names are not. Without one, measurements are chosen from the markers that model and trial share.
        mass: Subject mass [kg]; the setup's if None.
        out: Model to write.
        journal: Where choices and repairs are recorded.
        repair_sides: Whether exchanged left and right markers of the static trial are put right instead of refused.

    Returns:
        The scaled model as it was written.

    Raises:
        MotorqueError: An input is wrong; nothing is written.
    """
    if mass is not None and not (np.isfinite(mass) and mass > 0):
        raise DataError(f"the mass must be a positive number of kilograms, got {mass:g}")
    plan = read_scale_setup(setup) if setup is not None else ScaleSetup()
    generic = _with_marker_set(read_osim(model, journal=journal), plan, journal)
    trial = _static(static, plan, needed=setup is None or _needs_trial(plan), journal=journal)
    mass = mass if mass is not None else plan.mass
    told = Journal()
    planned, scaled = _planned_and_scaled(generic, trial, plan, setup is None, mass, told)
    if planned.placing is not None and trial is not None:
        # Markers placed on the wrong side would make a model that no recording fits, and nobody would know.
        evidence = side_evidence(scaled.skeleton, trial, weights=planned.placing.marker_weights or None)
        if evidence is not None and evidence.swapped:
            if not repair_sides:
                raise DataError(
                    f"{static or 'static trial'}: left and right seem exchanged ({evidence}); exchange the labels, or "
                    "use `motorque analyze`, which does"
                )
            trial, told = exchange_sides(trial), Journal()
            told.repair(f"left and right were exchanged in the static trial and are put right ({evidence})", "static")
            planned, scaled = _planned_and_scaled(generic, trial, plan, setup is None, mass, told)
    for notice in told.notices:
        journal.add(notice.kind, notice.text, notice.about)
    if planned.placing is not None and trial is not None:
        scaled = _placed(scaled, trial, planned.placing, journal)
    write_edited(out, scaled.tree, model)
    return scaled


def _planned_and_scaled(
    generic: OsimModel, trial: Markers | None, plan: ScaleSetup, automatic: bool, mass: float | None, journal: Journal
) -> tuple[ScaleSetup, OsimModel]:
    if automatic and trial is not None:
        plan = _automatic(generic.skeleton, trial, journal)
    return plan, _scaled(generic, trial, plan, mass, journal)


def _with_marker_set(generic: OsimModel, plan: ScaleSetup, journal: Journal) -> OsimModel:
    tree = copy.deepcopy(generic.tree)
    edited = OsimModel(generic.path, tree, generic.version, generic.skeleton)
    if plan.name:
        edited.model.set("name", plan.name)
    if plan.marker_set_file is not None:
        merge_marker_set(edited.model, plan.marker_set_file, generic.skeleton.body_names, journal=journal)
    return osim_from_tree(tree, generic.path, journal=Journal())


def _needs_trial(plan: ScaleSetup) -> bool:
    measures = plan.scaling is not None and MEASUREMENTS in plan.scaling.order and bool(plan.scaling.measurements)
    return measures or plan.placing is not None


def _static(static: Path | None, plan: ScaleSetup, *, needed: bool, journal: Journal) -> Markers | None:
    if not needed:
        if static is not None:
            journal.info("the setup neither measures nor places markers: the static trial is not used", str(static))
        return None
    path = static or plan.marker_file or (plan.placing.marker_file if plan.placing is not None else None)
    if path is None:
        raise DataError("scaling measures markers, but no static trial is given; give one with --static")
    return read_trc(path, journal=journal)


def _automatic(skeleton: Skeleton, trial: Markers, journal: Journal) -> ScaleSetup:
    """What a biomechanist would write into a setup for these markers."""
    scaling = automatic_measurements(skeleton, trial, journal=journal)
    weights = static_weights(skeleton, trial, scaling, journal=journal)
    return ScaleSetup(scaling=scaling, placing=PlacerPlan(marker_weights=weights))


def _scaled(
    generic: OsimModel, trial: Markers | None, plan: ScaleSetup, mass: float | None, journal: Journal
) -> OsimModel:
    if plan.scaling is None:
        journal.info("the setup leaves scaling out: only markers are placed", "scale")
        return generic
    scales = measure_scales(generic.skeleton, plan.scaling, trial, journal=journal)
    if mass is None:
        journal.assume(
            "no mass is given: each body's mass grows with its volume; give --mass for the person's own", "scale"
        )
    return scale_osim(
        generic, scales, mass=mass, preserve_mass_distribution=plan.preserve_mass_distribution, journal=journal
    )


def _placed(scaled: OsimModel, trial: Markers, placing: PlacerPlan, journal: Journal) -> OsimModel:
    skeleton = scaled.skeleton
    first = np.atleast_1d(trial.times[0] if placing.time_range is None else max(placing.time_range[0], trial.times[0]))
    wanted = coordinate_tasks(
        skeleton,
        IKSetup(coordinate_tasks=placing.coordinate_tasks, coordinate_file=placing.coordinate_file),
        first,
        journal,
    )
    placement = place_markers(
        skeleton,
        trial,
        time_range=placing.time_range,
        weights=placing.marker_weights,
        tasks=wanted,
        max_movement=placing.max_movement * MILLIMETRE if placing.max_movement >= 0 else None,
        journal=journal,
    )
    if placement.unmeasured:
        journal.info(
            f"{len(placement.unmeasured)} markers that the static trial does not have were taken off the model: "
            f"{', '.join(placement.unmeasured)}",
            "scale",
        )
    bodies = {m.name: "ground" if m.body < 0 else skeleton.body_names[m.body] for m in skeleton.markers}
    drop_markers(scaled.model, placement.unmeasured)
    move_markers(
        scaled.model,
        FrameFinder(scaled.model, list(skeleton.body_names)),
        {name: (bodies[name], position) for name, position in placement.positions.items()},
    )
    return osim_from_tree(scaled.tree, scaled.path, journal=Journal())
