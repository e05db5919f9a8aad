"""`id` against the wheel's InverseDynamicsTool on the same model, motion, loads, cutoff and list of forces."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError, ModelError, MotorqueError
from motorque.files.external_loads import read_loads, read_plates, write_external_loads, write_loads
from motorque.files.motion_files import read_kinetics, read_motion, write_motion
from motorque.files.osim import read_osim
from motorque.journal import Journal
from motorque.series import Load, Loads, Motion
from motorque.workflows.inverse_dynamics import id_step, inverse_dynamics_step

REQUIRED = 1e-3
"""RMS difference over max(peak, 1 N·m or 5 N) that is asked for, ends included."""
REACHED = 2e-6
"""What is reached: the tool writes eight decimals, the plain copy of the motion ten digits."""

OPENCAP = ("walking1", "walkingTS1", "DJ1", "STS1", "squats1")
CASES = {
    "arm26": ("opensim_tests/ID/arm26.osim", "opensim_tests/ID/arm26_InverseKinematics.mot", None, ("Muscles",)),
    "gait2354": (
        "opensim_tests/ID/subject01.osim",
        "opensim_tests/ID/subject01_walk1_ik.mot",
        "opensim_tests/ID/subject01_walk1_grf.xml",
        ("Muscles",),
    ),
    "rajagopal": (
        "rajagopal_walk/subject_walk_scaled.osim",
        "rajagopal_walk/coordinates.sto",
        "rajagopal_walk/grf_walk.xml",
        ("Muscles",),
    ),
    **{
        f"opencap {trial}": (
            "opencap_subject4/models/manually_scaled.osim",
            f"opencap_subject4/ik/{trial}_manual_scaling_ik.mot",
            f"opencap_subject4/setup/{trial}_external_forces.xml",
            ("Muscles",),
        )
        for trial in OPENCAP
    },
    **{
        f"synthetic {subject}": (
            f"arnold_synthetic/{subject}/{subject}.osim",
            f"arnold_synthetic/{subject}/coordinates.sto",
            f"arnold_synthetic/{subject}/grf.mot",
            ("All",),
        )
        for subject in ("subject01", "subject02")
    },
}


def run_tool(opensim, model: Path, motion: Path, loads: Path | None, cutoff, span, exclude, folder: Path) -> Path:
    """OpenSim's own answer; the path of its table."""
    loaded = opensim.Model(str(model))
    tool = opensim.InverseDynamicsTool()
    tool.setModel(loaded)
    tool.setCoordinatesFileName(str(motion))
    tool.setLowpassCutoffFrequency(-1.0 if cutoff is None else cutoff)
    names = opensim.ArrayStr()
    for name in exclude:
        names.append(name)
    tool.setExcludedForces(names)
    if loads is not None:
        tool.setExternalLoadsFileName(str(loads))
    tool.setStartTime(span[0])
    tool.setEndTime(span[1])
    tool.setResultsDir(str(folder))
    tool.setOutputGenForceFileName("tool_id.sto")
    assert tool.run()
    return folder / "tool_id.sto"


def loads_file(path: Path, folder: Path) -> Path:
    """The loads as an ExternalLoads file: beside its data, or made from a bare ``.mot`` whose names say the sides."""
    if path.suffix == ".xml":
        shutil.copy(path, folder)
        data = read_name(path)
        for place in (path.parent, path.parent.parent / "grf"):
            if (place / data).is_file():
                shutil.copy(place / data, folder)
        return folder / path.name
    plates = read_plates(path, journal=Journal())
    feet = tuple(Load(p.name, f"calcn_{p.name[-1]}", p.force, p.point, p.moment) for p in plates.loads)
    write_loads(folder / "grf.mot", Loads(plates.times, feet))
    write_external_loads(folder / "grf.xml", Loads(plates.times, feet), folder / "grf.mot")
    return folder / "grf.xml"


def read_name(path: Path) -> str:
    return path.read_text().split("<datafile>")[1].split("<")[0].strip()


def differences(ours, theirs, skeleton) -> dict[str, float]:
    """RMS difference by coordinate over max(peak, 1 N·m or 5 N)."""
    assert set(ours.names) == set(theirs.names)
    result = {}
    for name in theirs.names:
        floor = 1.0 if skeleton.coordinates[skeleton.coordinate(name)].rotational else 5.0
        reference = theirs.column(name)
        rms = float(np.sqrt(np.mean((ours.column(name) - reference) ** 2)))
        result[name] = rms / max(float(np.abs(reference).max()), floor)
    return result


@pytest.mark.parametrize("cutoff", [None, 6.0], ids=["unfiltered", "6 Hz"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_tool(opensim, data, tmp_path, case, cutoff, record_property):
    model_file, motion_file, loads_name, exclude = CASES[case]
    journal = Journal()
    model = read_osim(data / model_file, journal=journal)
    # Files with state paths or couplers in degrees mean something else to the tool: it gets a plain copy.
    plain = tmp_path / "motion.mot"
    write_motion(plain, read_motion(data / motion_file, model.skeleton, journal=journal), model.skeleton)
    motion = read_motion(plain, model.skeleton, journal=journal)
    loads = None if loads_name is None else loads_file(data / loads_name, tmp_path)
    span = (motion.times[0], motion.times[-1])
    table = run_tool(opensim, data / model_file, plain, loads, cutoff, span, exclude, tmp_path)
    theirs = read_kinetics(table, model.skeleton)

    ours = inverse_dynamics_step(
        model,
        motion,
        None if loads is None else read_loads(loads, journal=journal),
        journal=journal,
        cutoff=cutoff,
        exclude_forces=exclude,
        at=theirs.times,
    )

    found = differences(ours, theirs, model.skeleton)
    worst = max(found, key=lambda name: found[name])
    print(f"{case}, cutoff {cutoff}: worst {worst} {found[worst]:.1e} of the peak over {len(theirs.times)} frames")
    record_property("worst", found[worst])
    assert len(theirs.times) > 0.98 * len(motion.times)
    assert found[worst] <= min(REQUIRED, REACHED), worst


def test_filter_is_not_left_out(data):
    """The cutoff does something: the comparison above would notice."""
    model = read_osim(data / "opensim_tests/ID/subject01.osim", journal=Journal())
    motion = read_motion(data / "opensim_tests/ID/subject01_walk1_ik.mot", model.skeleton)
    raw, smooth = (inverse_dynamics_step(model, motion, journal=Journal(), cutoff=c) for c in (None, 6.0))
    assert np.abs(raw.values - smooth.values).max() > 10.0


@pytest.mark.parametrize(
    ("case", "stored", "cutoff", "share", "least"),
    [
        ("arm26", "opensim_tests/ID/std_arm26_InverseDynamics.sto", 6.0, 1e-2, 0.0),
        ("gait2354", "opensim_tests/ID/std_subject01_InverseDynamics.sto", 6.0, 8e-2, 0.0),
        # Their motion fits their loads so well that the pelvis residuals have peaks of 3 N·m only.
        ("synthetic subject01", "arnold_synthetic/subject01/id.sto", None, 1e-2, 0.6),
        ("synthetic subject02", "arnold_synthetic/subject02/id.sto", None, 1e-2, 0.6),
    ],
)
def test_near_the_stored_references(data, tmp_path, case, stored, cutoff, share, least):
    """Second references, written by older versions: OpenSim 4.6 itself misses some of them by up to 7 %."""
    model_file, motion_file, loads_name, exclude = CASES[case]
    model = read_osim(data / model_file, journal=Journal())
    theirs = read_kinetics(data / stored, model.skeleton)
    motion = read_motion(data / motion_file, model.skeleton)
    loads = None if loads_name is None else read_loads(loads_file(data / loads_name, tmp_path), journal=Journal())
    inside = (theirs.times >= motion.times[0] - 1e-6) & (theirs.times <= motion.times[-1] + 1e-6)
    ours = inverse_dynamics_step(
        model, motion, loads, journal=Journal(), cutoff=cutoff, exclude_forces=exclude, at=theirs.times[inside]
    )
    for name in theirs.names:
        floor = 1.0 if model.skeleton.coordinates[model.skeleton.coordinate(name)].rotational else 5.0
        reference = theirs.column(name)[inside]
        rms = np.sqrt(np.mean((ours.column(name) - reference) ** 2))
        assert rms <= max(share * max(np.abs(reference).max(), floor), least), name


def test_reduced_torques_do_the_same_work(data):
    """Projected on the free coordinates, the forces have the power that all of them had."""
    model = read_osim(data / "rajagopal_walk/subject_walk_scaled.osim", journal=Journal())
    skeleton = model.skeleton
    motion = read_motion(data / "rajagopal_walk/coordinates.sto", skeleton).between(0.4, 0.8)
    full = inverse_dynamics_step(model, motion, journal=Journal())
    reduced = inverse_dynamics_step(model, motion, journal=Journal(), reduced=True)
    assert len(reduced.names) == len(full.names) - 2
    assert not any("beta" in name for name in reduced.names)
    rates = np.gradient(motion.values, motion.times, axis=0)
    speed = {name: rates[:, i] for i, name in enumerate(motion.names)}
    power = [sum(k.column(n) * speed[n] for n in k.names) for k in (full, reduced)]
    assert np.abs(power[0] - power[1])[3:-3].max() < 2e-3 * np.abs(power[0]).max()


def test_a_plain_mot_goes_to_the_feet(data, tmp_path):
    """Plates without sides give the torques that they give when an ExternalLoads file names the right feet."""
    folder = data / "opencap_subject4"
    model = read_osim(folder / "models/manually_scaled.osim", journal=Journal())
    motion = read_motion(folder / "ik/walking1_manual_scaling_ik.mot", model.skeleton)
    plates = read_plates(folder / "grf/walking1_grf.mot", journal=Journal())
    journal = Journal()
    found = inverse_dynamics_step(model, motion, plates, journal=journal)
    bodies = ("calcn_r", "calcn_l")
    named = tuple(Load(p.name, b, p.force, p.point, p.moment) for p, b in zip(plates.loads, bodies, strict=True))
    expected = inverse_dynamics_step(model, motion, Loads(plates.times, named), journal=Journal())
    assert np.abs(found.values - expected.values).max() < 1e-9
    said = " ".join(n.text for n in journal.notices)
    assert "ground_force_1 acts on calcn_r" in said and "ground_force_2 acts on calcn_l" in said


def test_wrong_feet_are_said_and_kept(data, tmp_path):
    folder = data / "opencap_subject4"
    model = read_osim(folder / "models/manually_scaled.osim", journal=Journal())
    motion = read_motion(folder / "ik/walking1_manual_scaling_ik.mot", model.skeleton)
    journal = Journal()
    loads = read_loads(loads_file(folder / "setup/walking1_external_forces.xml", tmp_path), journal=journal)
    inverse_dynamics_step(model, motion, loads, journal=journal)
    warnings = [n.text for n in journal.notices if n.kind == "warning"]
    assert any("ForcePlate2 is said to act on talus_r" in text and "left one" in text for text in warnings)
    assert not any("ForcePlate1" in text for text in warnings)


def test_step_from_files(data, tmp_path):
    folder = data / "opensim_tests/ID"
    out = tmp_path / "id.sto"
    kinetics = id_step(
        folder / "subject01.osim",
        folder / "subject01_walk1_ik.mot",
        loads=folder / "subject01_walk1_grf.xml",
        cutoff=6.0,
        start=0.6,
        end=1.5,
        out=out,
        journal=Journal(),
    )
    model = read_osim(folder / "subject01.osim", journal=Journal())
    read = read_kinetics(out, model.skeleton)
    assert read.times[0] >= 0.6 - 1e-6 and read.times[-1] <= 1.5 + 1e-6
    assert np.abs(read.values - kinetics.values).max() < 1e-6
    assert "pelvis_tx_force" in out.read_text().split("endheader")[1] and "knee_angle_r_moment" in out.read_text()


def test_loads_that_end_early_are_refused(data, tmp_path):
    folder = data / "opencap_subject4"
    out = tmp_path / "id.sto"
    text = (folder / "grf/walking1_grf.mot").read_text().replace("nRows=131", "nRows=100").splitlines(keepends=True)
    (tmp_path / "short.mot").write_text("".join(text[:-31]))
    with pytest.raises(DataError, match=r"run from 0 to 0.99 s but the motion from 0 to 1.3 s; cut .*--end"):
        id_step(
            folder / "models/manually_scaled.osim",
            folder / "ik/walking1_manual_scaling_ik.mot",
            loads=tmp_path / "short.mot",
            out=out,
            journal=Journal(),
        )
    assert not out.exists()


def test_a_motion_of_another_model_is_refused(data, tmp_path):
    folder = data / "opensim_tests/ID"
    with pytest.raises(MotorqueError, match="give a motion of this model"):
        id_step(folder / "arm26.osim", folder / "subject01_walk1_ik.mot", out=tmp_path / "x.sto", journal=Journal())


def test_an_unsupported_force_is_named(data, tmp_path):
    text = (data / "opensim_tests/Scale/toyLigamentModel.osim").read_text()
    assert "<Ligament " in text
    (tmp_path / "model.osim").write_text(
        text.replace("<Ligament ", "<RubberBand ").replace("</Ligament>", "</RubberBand>")
    )
    model = read_osim(tmp_path / "model.osim", journal=Journal())
    times = np.arange(20) / 100
    motion = Motion(times, np.zeros((20, model.skeleton.nq)), model.skeleton.coordinate_names)
    with pytest.raises(ModelError, match="RubberBand .*--exclude-forces"):
        inverse_dynamics_step(model, motion, journal=Journal())
    inverse_dynamics_step(model, motion, journal=Journal(), exclude_forces=["all"])
