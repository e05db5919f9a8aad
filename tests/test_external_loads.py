"""External loads: files in and out, against the wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError, FileFormatError
from motorque.files.external_loads import (
    ExternalLoads,
    read_external_loads,
    read_loads,
    read_plates,
    write_external_loads,
    write_loads,
)
from motorque.files.motion_files import read_kinetics, read_motion, write_motion
from motorque.files.osim import read_osim
from motorque.files.plate_columns import side_of
from motorque.files.storage import Table, write_storage
from motorque.journal import Journal
from motorque.series import Load, Loads
from motorque.workflows.inverse_dynamics import inverse_dynamics_step

WRENCH = 1e-6
"""Largest error of a force [N] or moment [N·m] through a file of ten digits."""


def texts(journal: Journal, kind: str) -> list[str]:
    return [notice.text for notice in journal.notices if notice.kind == kind]


def table_file(path: Path, times: np.ndarray, columns: dict[str, np.ndarray]) -> Path:
    write_storage(path, Table(path.stem, times, tuple(columns), np.stack(list(columns.values()), axis=1)))
    return path


Columns = dict[str, np.ndarray]


def plate_columns(force: str, point: str, moment: str | None, times: np.ndarray, seed: int = 0) -> Columns:
    random = np.random.default_rng(seed)
    stems = [force, point] + ([] if moment is None else [moment])
    return {stem + axis: random.normal(size=len(times)) for stem in stems for axis in "xyz"}


def xml_file(path: Path, forces: str, data_file: str = "grf.mot", version: int = 40000) -> Path:
    head = f'<?xml version="1.0"?><OpenSimDocument Version="{version}"><ExternalLoads name="x"><objects>'
    path.write_text(f"{head}{forces}</objects><datafile>{data_file}</datafile></ExternalLoads></OpenSimDocument>")
    return path


def force_xml(
    name: str, body: str, *, frame: str = "ground", point_frame: str = "ground", extra: str = "", **ids: str
) -> str:
    identifiers = "".join(f"<{kind}_identifier>{value}</{kind}_identifier>" for kind, value in ids.items())
    return (
        f'<ExternalForce name="{name}">{extra}<applied_to_body>{body}</applied_to_body>'
        f"<force_expressed_in_body>{frame}</force_expressed_in_body>"
        f"<point_expressed_in_body>{point_frame}</point_expressed_in_body>{identifiers}</ExternalForce>"
    )


@pytest.mark.parametrize(
    "patterns",
    [
        ("ground_force_1_{}", "ground_force_2_{}", "m"),
        ("ground_force_r_{}", "ground_force_l_{}", "ground_torque"),
        ("ground_force_{}", "l_ground_force_{}", "ground_torque"),
        ("ground_force_{}", "1_ground_force_{}", "ground_torque"),
        ("R_ground_force_{}", "L_ground_force_{}", "ground_torque"),
    ],
)
def test_plates_are_found_by_their_columns(tmp_path, patterns):
    times = np.arange(5) / 100
    *forces, moment = patterns
    moments = [f.format("m") if moment == "m" else f.replace("ground_force", moment).format("") for f in forces]
    names = [(f.format("v"), f.format("p"), m) for f, m in zip(forces, moments, strict=True)]
    columns: dict[str, np.ndarray] = {}
    for number, stems in enumerate(names):
        columns |= plate_columns(*stems, times, seed=number)
    plates = read_plates(table_file(tmp_path / "grf.mot", times, columns), journal=Journal())
    assert len(plates.loads) == 2
    for load, stems in zip(plates.loads, names, strict=True):
        for stem, values in zip(stems, (load.force, load.point, load.moment), strict=True):
            expected = np.stack([columns[stem + axis] for axis in "xyz"], axis=1)
            assert np.abs(values - expected).max() < 1e-9
        assert load.body == ""


@pytest.mark.parametrize(
    ("name", "side"),
    [("calcn_r", "r"), ("ground_force_l", "l"), ("LeftPlate", "l"), ("R_plate", "r"), ("plate_1", None), ("rib", None)],
)
def test_side_of_a_name(name, side):
    assert side_of(name) == side


def test_missing_moments_are_said(tmp_path):
    times = np.arange(5) / 100
    columns = plate_columns("ground_force_1_v", "ground_force_1_p", None, times)
    journal = Journal()
    plates = read_plates(table_file(tmp_path / "grf.mot", times, columns), journal=journal)
    assert not plates.loads[0].moment.any()
    assert any("no moment columns" in text for text in texts(journal, "assumption"))


@pytest.mark.parametrize(
    ("drop", "words"),
    [
        ("ground_force_1_pz", "add the columns ground_force_1_pz"),
        ("ground_force_1_vy", "add the columns ground_force_1_vy"),
        ("all", "no ground force columns"),
    ],
)
def test_incomplete_plates_are_refused(tmp_path, drop, words):
    times = np.arange(5) / 100
    columns = plate_columns("ground_force_1_v", "ground_force_1_p", "ground_force_1_m", times)
    columns = {"pelvis_tx": times} if drop == "all" else {k: v for k, v in columns.items() if k != drop}
    with pytest.raises(DataError, match=words):
        read_plates(table_file(tmp_path / "grf.mot", times, columns), journal=Journal())


def test_forces_are_interpolated_as_opensim_does(opensim, data, tmp_path):
    source = data / "opensim_tests/ID/subject01_walk1_grf.xml"
    wanted = np.sort(np.random.default_rng(0).uniform(0.5, 3.0, 60))
    ours = read_external_loads(source, journal=Journal()).at(wanted)
    model = opensim.Model(str(data / "opensim_tests/ID/subject01.osim"))
    loads = opensim.ExternalLoads(str(source), True)
    model.addModelComponent(loads)
    model.initSystem()
    for index, force in enumerate(ours.forces):
        theirs = loads.get(index)
        assert theirs.getName() == force.name
        for get, values in (
            (theirs.getForceAtTime, force.force),
            (theirs.getPointAtTime, force.point),
            (theirs.getTorqueAtTime, force.torque),
        ):
            vectors = [get(float(t)) for t in wanted]
            expected = np.array([[v.get(axis) for axis in range(3)] for v in vectors])
            assert np.abs(values - expected).max() <= 1e-10 * np.abs(expected).max()


def test_forces_expressed_in_bodies(opensim, data, tmp_path):
    """A force along the shank's axes at a point fixed in the heel, a force without a point, and a pure torque."""
    folder = data / "opensim_tests/ID"
    model = read_osim(folder / "subject01.osim", journal=Journal())
    plain = tmp_path / "motion.mot"
    write_motion(plain, read_motion(folder / "subject01_walk1_ik.mot", model.skeleton), model.skeleton)
    motion = read_motion(plain, model.skeleton)
    columns: dict[str, np.ndarray] = {}
    for number in range(3):
        random = plate_columns(f"f{number}_v", f"f{number}_p", f"f{number}_m", motion.times, seed=number)
        columns |= {name: np.cumsum(values) for name, values in random.items()}
    table_file(tmp_path / "grf.mot", motion.times, columns)
    forces = (
        force_xml("a", "calcn_r", frame="tibia_r", point_frame="calcn_r", force="f0_v", point="f0_p", torque="f0_m")
        + force_xml("b", "torso", force="f1_v")
        + force_xml("c", "/bodyset/femur_l", frame="femur_l", torque="f2_m")
    )
    path = xml_file(tmp_path / "loads.xml", forces)
    loaded = opensim.Model(str(folder / "subject01.osim"))
    tool = opensim.InverseDynamicsTool()
    tool.setModel(loaded)
    tool.setCoordinatesFileName(str(plain))
    exclude = opensim.ArrayStr()
    exclude.append("Muscles")
    tool.setExcludedForces(exclude)
    tool.setExternalLoadsFileName(str(path))
    tool.setStartTime(motion.times[0])
    tool.setEndTime(motion.times[-1])
    tool.setResultsDir(str(tmp_path))
    tool.setOutputGenForceFileName("tool.sto")
    assert tool.run()
    theirs = read_kinetics(tmp_path / "tool.sto", model.skeleton)

    loads = read_loads(path, journal=Journal())
    assert isinstance(loads, ExternalLoads)
    ours = inverse_dynamics_step(model, motion, loads, journal=Journal())
    for name in theirs.names:
        expected = theirs.column(name)
        assert np.abs(ours.column(name) - expected).max() <= 5e-6 * max(1.0, np.abs(expected).max()), name


def random_loads(frames: int = 40, *, gaps: bool = True) -> Loads:
    random = np.random.default_rng(3)
    loads = []
    for name, body in (("right", "calcn_r"), ("left", "calcn_l"), ("chair", "pelvis")):
        point = random.normal(size=(frames, 3))
        if gaps and body != "pelvis":
            point[5:12] = np.nan
            point[:2] = np.nan
        force, moment = 300 * random.normal(size=(frames, 3)), 20 * random.normal(size=(frames, 3))
        loads.append(Load(name, body, force, point, moment))
    return Loads(np.arange(frames) / 100, tuple(loads))


def test_loads_survive_the_round_trip(tmp_path):
    """Force and moment come back exactly, whether there was a point or not."""
    loads = random_loads()
    write_loads(tmp_path / "grf.mot", loads)
    write_external_loads(tmp_path / "grf.xml", loads, tmp_path / "grf.mot")
    plates = read_plates(tmp_path / "grf.mot", journal=Journal())
    external = read_external_loads(tmp_path / "grf.xml", journal=Journal())
    assert [f.body for f in external.forces] == [load.body for load in loads.loads]
    for load, plate, force in zip(loads.loads, plates.loads, external.forces, strict=True):
        about_origin = force.torque + np.cross(force.point, force.force)
        assert np.abs(plate.force - load.force).max() < WRENCH
        assert np.abs(plate.moment_about_origin - load.moment_about_origin).max() < WRENCH
        assert np.abs(about_origin - load.moment_about_origin).max() < WRENCH
        known = np.isfinite(load.point).all(axis=1)
        assert np.abs(plate.point - load.point)[known].max() < 1e-9
    assert (tmp_path / "grf.mot").read_text().count("ground_force_r_vx") == 1


def test_opensim_reads_what_is_written(opensim, data, tmp_path):
    loads = random_loads()
    write_loads(tmp_path / "grf.mot", loads)
    write_external_loads(tmp_path / "grf.xml", loads, tmp_path / "grf.mot")
    model = opensim.Model(str(data / "opensim_tests/ID/subject01.osim"))
    external = opensim.ExternalLoads(str(tmp_path / "grf.xml"), True)
    model.addModelComponent(external)
    model.initSystem()
    for index, load in enumerate(loads.loads):
        theirs = external.get(index)
        assert theirs.getAppliedToBodyName() == load.body
        for frame in (0, 7, 20):
            getters = (theirs.getForceAtTime, theirs.getPointAtTime, theirs.getTorqueAtTime)
            values = [get(float(loads.times[frame])) for get in getters]
            force, point, torque = (np.array([v.get(axis) for axis in range(3)]) for v in values)
            assert np.abs(force - load.force[frame]).max() < WRENCH
            assert np.abs(torque + np.cross(point, force) - load.moment_about_origin[frame]).max() < WRENCH


def test_two_loads_on_one_foot_keep_apart(tmp_path):
    loads = random_loads(gaps=False)
    both = Loads(loads.times, tuple(Load(x.name, "calcn_r", x.force, x.point, x.moment) for x in loads.loads))
    write_loads(tmp_path / "grf.mot", both)
    write_external_loads(tmp_path / "grf.xml", both, tmp_path / "grf.mot")
    external = read_external_loads(tmp_path / "grf.xml", journal=Journal())
    for load, force in zip(both.loads, external.forces, strict=True):
        assert np.abs(force.force - load.force).max() < WRENCH


WRONG_XML = {
    "no file": (lambda: force_xml("a", "calcn_r", force="x_v"), "no.mot", FileFormatError, "its data file 'no.mot'"),
    "no column": (lambda: force_xml("a", "calcn_r", force="x_v"), "grf.mot", DataError, "three .*'x_v', found none"),
    "two plates": (lambda: force_xml("a", "calcn_r", force="f"), "grf.mot", DataError, "three columns"),
    "no force": (lambda: force_xml("a", "calcn_r"), "grf.mot", DataError, "neither a force nor a torque"),
    "no body": (lambda: force_xml("a", "", force="f_v"), "grf.mot", DataError, "names no body"),
    "old": (lambda: '<PrescribedForce name="a"/>', "grf.mot", FileFormatError, "PrescribedForce are not supported"),
    "empty": (lambda: "", "grf.mot", FileFormatError, "no <ExternalForce>"),
}


@pytest.mark.parametrize("case", WRONG_XML)
def test_wrong_xml_is_explained(tmp_path, case):
    forces, data_file, error, words = WRONG_XML[case]
    times = np.arange(5) / 100
    table_file(tmp_path / "grf.mot", times, plate_columns("f_v", "f_p", "f_m", times))
    path = xml_file(tmp_path / "loads.xml", forces(), data_file)
    with pytest.raises(error, match=words) as caught:
        read_loads(path, journal=Journal())
    assert "\n" not in str(caught.value) and "loads.xml" in str(caught.value)


def test_other_documents_and_entities_are_refused(tmp_path):
    (tmp_path / "a.xml").write_text("<OpenSimDocument><Model/></OpenSimDocument>")
    with pytest.raises(FileFormatError, match="no <ExternalLoads>"):
        read_loads(tmp_path / "a.xml", journal=Journal())
    (tmp_path / "b.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><OpenSimDocument>&a;</OpenSimDocument>')
    with pytest.raises(FileFormatError, match="refused for safety"):
        read_loads(tmp_path / "b.xml", journal=Journal())


@pytest.mark.parametrize("switch", ["<appliesForce>false</appliesForce>", "<isDisabled>true</isDisabled>"])
def test_forces_that_are_switched_off_stay_off(tmp_path, switch):
    times = np.arange(5) / 100
    table_file(tmp_path / "grf.mot", times, plate_columns("f_v", "f_p", "f_m", times))
    forces = force_xml("off", "calcn_r", force="f_v", extra=switch) + force_xml("on", "calcn_l", force="f_v")
    journal = Journal()
    loads = read_external_loads(xml_file(tmp_path / "loads.xml", forces), journal=journal)
    assert [f.name for f in loads.forces] == ["on"]
    assert any("off is switched off" in text for text in texts(journal, "info"))


def test_an_unknown_body_is_named(data, tmp_path):
    folder = data / "opensim_tests/ID"
    model = read_osim(folder / "subject01.osim", journal=Journal())
    motion = read_motion(folder / "subject01_walk1_ik.mot", model.skeleton)
    table_file(tmp_path / "grf.mot", motion.times, plate_columns("f_v", "f_p", "f_m", motion.times))
    path = xml_file(tmp_path / "loads.xml", force_xml("a", "foot_r", force="f_v"))
    with pytest.raises(DataError, match="names the body 'foot_r', which the model does not have"):
        inverse_dynamics_step(model, motion, read_loads(path, journal=Journal()), journal=Journal())
