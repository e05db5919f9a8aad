"""Forces of a model in inverse dynamics: as the wheel's tool has them; their expressions are only arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import ModelError
from motorque.files.motion_files import read_kinetics, read_motion, write_motion
from motorque.files.osim import read_osim
from motorque.journal import Journal
from motorque.mechanics.expressions import Expression
from motorque.series import Load, Loads
from motorque.workflows.inverse_dynamics import inverse_dynamics_step

REACHED = 2e-6
"""RMS difference over max(peak, 1)."""


def tool_answer(opensim, model: Path, motion: Path, exclude: tuple[str, ...], folder: Path) -> Path:
    loaded = opensim.Model(str(model))
    tool = opensim.InverseDynamicsTool()
    tool.setModel(loaded)
    tool.setCoordinatesFileName(str(motion))
    names = opensim.ArrayStr()
    for name in exclude:
        names.append(name)
    tool.setExcludedForces(names)
    tool.setResultsDir(str(folder))
    tool.setOutputGenForceFileName("tool.sto")
    assert tool.run()
    return folder / "tool.sto"


def compare(opensim, model_file: Path, motion_file: Path, exclude: tuple[str, ...], folder: Path) -> list[str]:
    """Compare with the tool; returns what the journal says about forces that act."""
    model = read_osim(model_file, journal=Journal())
    plain = folder / "motion.mot"
    write_motion(plain, read_motion(motion_file, model.skeleton), model.skeleton)
    motion = read_motion(plain, model.skeleton)
    theirs = read_kinetics(tool_answer(opensim, model_file, plain, exclude, folder), model.skeleton)
    journal = Journal()
    ours = inverse_dynamics_step(model, motion, journal=journal, exclude_forces=exclude, at=theirs.times)
    without = inverse_dynamics_step(model, motion, journal=Journal(), exclude_forces=("all",), at=theirs.times)
    assert np.abs(ours.values - without.values).max() > 1.0  # the forces matter here
    for name in theirs.names:
        reference = theirs.column(name)
        rms = np.sqrt(np.mean((ours.column(name) - reference) ** 2))
        assert rms <= REACHED * max(np.abs(reference).max(), 1.0), name
    return [n.text for n in journal.notices if "forces of the model act" in n.text]


def test_expressions_bushings_springs_activations_and_contacts(opensim, data, tmp_path):
    """20 expressions, 2 bushings, 3 springs, 13 activated actuators and 12 contact spheres at once."""
    folder = data / "arnold_synthetic/subject01"
    said = compare(opensim, folder / "subject01.osim", folder / "coordinates.sto", ("Muscles",), tmp_path)
    assert said and said[0].startswith("50 forces")


def test_contacts_with_default_smoothing(opensim, data, tmp_path):
    model = data / "models/LaiArnoldModified2017_contacts.osim"
    motion = data / "opencap_subject4/ik/walking1_manual_scaling_ik.mot"
    said = compare(opensim, model, motion, ("Muscles",), tmp_path)
    assert said and said[0].startswith("12 forces")


def test_coordinate_limit(opensim, data, tmp_path):
    folder = data / "opensim_tests"
    model = folder / "StaticOptimization/subject01_adjusted_spring.osim"
    said = compare(opensim, model, folder / "ID/subject01_walk1_ik.mot", ("Muscles",), tmp_path)
    assert said and "AnkleLimitSpringDamper" in said[0]


def bushing_model(opensim, folder: Path) -> Path:
    """A pendulum of two bodies with a plain bushing and a limit that both act."""
    model = opensim.Model()
    model.setName("bushing")
    parent = model.getGround()
    bodies, joints = [], []
    for number in range(2):
        body = opensim.Body(f"b{number}", 2.0, opensim.Vec3(0.02, -0.2, 0.01), opensim.Inertia(0.02, 0.01, 0.03))
        at, turn, zero = opensim.Vec3(0, -0.4 * number, 0), opensim.Vec3(0.1, 0.2, 0), opensim.Vec3(0)
        joint = opensim.UniversalJoint(f"j{number}", parent, at, turn, body, zero, zero)
        model.addBody(body)
        model.addJoint(joint)
        bodies.append(body)
        joints.append(joint)
        parent = body
    frames = []
    for body, place, turn in zip(bodies, ((0, -0.3, 0), (0, 0.1, 0.02)), ((0.1, 0, 0.2), (0, 0.3, 0)), strict=True):
        frame = opensim.PhysicalOffsetFrame(f"{body.getName()}_end", body, opensim.Transform(opensim.Vec3(*place)))
        frame.set_orientation(opensim.Vec3(*turn))
        body.addComponent(frame)
        frames.append(frame)
    constants = ((100, 120, 90), (10, 20, 30), (3, 4, 5), (1, 2, 3))
    bushing = opensim.BushingForce("bush", *frames, *(opensim.Vec3(*c) for c in constants))
    model.addForce(bushing)
    limit = opensim.CoordinateLimitForce("j0_coord_0", 10, 2.0, -5, 3.0, 0.05, 6.0, False)
    limit.setName("limit")
    model.addForce(limit)
    model.finalizeConnections()
    path = folder / "bushing.osim"
    model.printToXML(str(path))
    return path


def test_plain_bushing_and_limit_of_a_model_from_the_wheel(opensim, tmp_path):
    path = bushing_model(opensim, tmp_path)
    names = read_osim(path, journal=Journal()).skeleton.coordinate_names
    times = np.arange(80) / 100
    waves = [30 * np.sin(2 * np.pi * (1 + 0.3 * i) * times + i) for i in range(len(names))]
    head = f"m\nversion=1\nnRows=80\nnColumns={len(names) + 1}\ninDegrees=yes\nendheader\ntime\t" + "\t".join(names)
    rows = ["\t".join(f"{x:.12g}" for x in row) for row in zip(times, *waves, strict=True)]
    (tmp_path / "waves.mot").write_text(head + "\n" + "\n".join(rows) + "\n")
    said = compare(opensim, path, tmp_path / "waves.mot", ("Muscles",), tmp_path)
    assert said and "bush" in said[0] and "limit" in said[0]


@pytest.mark.parametrize(("exclude", "left"), [((), 50), (("contact",), 38), (("Actuators",), 37), (("ALL",), 0)])
def test_classes_of_forces_to_leave_out(data, exclude, left):
    folder = data / "arnold_synthetic/subject01"
    model = read_osim(folder / "subject01.osim", journal=Journal())
    motion = read_motion(folder / "coordinates.sto", model.skeleton)
    journal = Journal()
    inverse_dynamics_step(model, motion, journal=journal, exclude_forces=exclude)
    said = [n.text for n in journal.notices if "forces of the model act" in n.text]
    assert (int(said[0].split()[0]) if said else 0) == left


def test_contacts_are_left_out_when_loads_are_given(data):
    folder = data / "arnold_synthetic/subject01"
    model = read_osim(folder / "subject01.osim", journal=Journal())
    motion = read_motion(folder / "coordinates.sto", model.skeleton)
    zero = np.zeros((len(motion.times), 3))
    journal = Journal()
    loads = Loads(motion.times, (Load("x", "calcn_r", zero, zero, zero),))
    inverse_dynamics_step(model, motion, loads, journal=journal)
    assert any("contact forces are left out because external loads are given" in n.text for n in journal.notices)
    assert any(n.text.startswith("38 forces of the model act") for n in journal.notices)


def test_unknown_names_to_leave_out_are_said(data):
    folder = data / "opensim_tests/ID"
    model = read_osim(folder / "arm26.osim", journal=Journal())
    motion = read_motion(folder / "arm26_InverseKinematics.mot", model.skeleton)
    journal = Journal()
    inverse_dynamics_step(model, motion, journal=journal, exclude_forces=("spring_17",))
    assert any("'spring_17'" in n.text for n in journal.notices if n.kind == "warning")


def test_expressions_follow_arithmetic():
    q, rate = torch.linspace(-1, 1, 11, dtype=torch.float64), torch.linspace(2, 3, 11, dtype=torch.float64)
    text = "-2.5*exp(-3*(q+0.1))+max(q,0)^2-square(qdot)/.5+-q^2*step(q)"
    expected = -2.5 * torch.exp(-3 * (q + 0.1)) + q.clamp(min=0) ** 2 - rate**2 / 0.5 - q**2 * (q >= 0)
    assert torch.allclose(Expression(text, ("q", "qdot"))(q=q, qdot=rate), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "q.real", "(lambda:1)()", "[q for q in (1,)]", "q if q else 1", "'a'*99", "q;q", "q+",
        "z*2", "exp(q,q)", "max(q)", "True", "1j", "q" * 5000, "(" * 300 + "q" + ")" * 300, "-" * 3000 + "q",
    ],
)  # fmt: skip
def test_anything_but_arithmetic_is_refused(text):
    with pytest.raises(ModelError, match="the expression"):
        Expression(text, ("q", "qdot"))
