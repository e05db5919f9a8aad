"""Models are read as OpenSim reads them: body positions, coordinates and masses as the wheel's; what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import data_folder
from motorque.errors import FileFormatError, ModelError
from motorque.files.osim import read_osim
from motorque.mechanics.kinematics import forward_kinematics, marker_positions

POSES = 200
MODELS = sorted(p.relative_to(data_folder()).as_posix() for p in data_folder().glob("**/*.osim")) or ["none"]
NOT_OPENED_BY_OPENSIM = {
    "opensim_tests/StaticOptimization/arm26.osim",  # a muscle property out of range
    "opensim_tests/StaticOptimization/subject01_simbody.osim",  # version 10900, dropped by OpenSim 4
}


@pytest.mark.parametrize("name", MODELS)
def test_bodies_and_markers_stand_where_opensim_puts_them(name: str, data: Path, opensim) -> None:
    skeleton = read_osim(data / name).skeleton
    if name in NOT_OPENED_BY_OPENSIM:
        with pytest.raises(RuntimeError):
            opensim.Model(str(data / name)).initSystem()
        return
    model = opensim.Model(str(data / name))
    state = model.initSystem()
    coordinates = model.getCoordinateSet()
    assert {coordinates.get(i).getName() for i in range(coordinates.getSize())} == set(skeleton.coordinate_names)
    # The wheel rewrites old files on reading, rounding offsets to seven digits; new files are read as they are.
    version = read_osim(data / name).version
    tolerance = 1e-6 if version < 40000 else 1e-12
    for c in skeleton.coordinates:
        theirs = coordinates.get(c.name)
        theirs.setLocked(state, False)
        assert c.default == pytest.approx(theirs.getDefaultValue(), abs=1e-9)
        assert (c.clamped, c.locked) == (theirs.getDefaultClamped(), theirs.getDefaultLocked())
        assert c.rotational == (theirs.getMotionType() == 1)
    bodies = [i for i, b in enumerate(skeleton.body_names) if model.getBodySet().contains(b)]
    theirs = [model.getBodySet().get(skeleton.body_names[i]) for i in bodies]
    marks = [model.getMarkerSet().get(m.name) for m in skeleton.markers]
    rng = np.random.default_rng(0)
    q, p, r, m = [], [], [], []
    for _ in range(POSES):
        for c, value in zip(skeleton.coordinates, rng.uniform(-1, 1, skeleton.nq), strict=True):
            coordinates.get(c.name).setValue(state, float(value), False)
        model.realizePosition(state)
        q.append([coordinates.get(c.name).getValue(state) for c in skeleton.coordinates])
        frames = [b.getTransformInGround(state) for b in theirs]
        p.append([f.p().to_numpy() for f in frames])
        r.append([[[f.R().get(i, j) for j in range(3)] for i in range(3)] for f in frames])
        m.append([x.getLocationInGround(state).to_numpy() for x in marks])
    angles = torch.tensor(np.array(q))
    poses = forward_kinematics(skeleton, angles)
    np.testing.assert_allclose(poses.position[:, bodies].numpy(), np.array(p), atol=tolerance)
    relative = poses.rotation[:, bodies].numpy().transpose(0, 1, 3, 2) @ np.array(r)
    turn = np.linalg.norm(relative - np.eye(3), axis=(-1, -2)) / np.sqrt(2)  # angle between the two, for small ones
    assert turn.max() <= tolerance
    if marks:
        np.testing.assert_allclose(marker_positions(skeleton, angles).numpy(), np.array(m), atol=tolerance)
    np.testing.assert_allclose(skeleton.mass[bodies].numpy(), [b.getMass() for b in theirs], rtol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_couplers_agree(name: str, data: Path, opensim) -> None:
    skeleton = read_osim(data / name).skeleton
    if name in NOT_OPENED_BY_OPENSIM or not skeleton.couplers:
        assert not skeleton.couplers or name in NOT_OPENED_BY_OPENSIM
        return
    model = opensim.Model(str(data / name))
    model.initSystem()
    for coupler in skeleton.couplers:
        constraint = opensim.CoordinateCouplerConstraint.safeDownCast(model.getConstraintSet().get(coupler.name))
        function = constraint.getFunction()
        for value in np.linspace(-0.3, 2.0, 24):
            q = torch.zeros(skeleton.nq, dtype=torch.float64)
            q[coupler.independent] = value
            expected = coupler.scale * function.calcValue(opensim.Vector(1, float(value)))
            assert float(skeleton.couple(q)[coupler.dependent]) == pytest.approx(expected, abs=1e-12)


def _model(bodies: str, joints: str, markers: str = "") -> str:
    return (
        f'<?xml version="1.0"?><OpenSimDocument Version="40000"><Model name="m"><BodySet><objects>{bodies}</objects>'
        f"</BodySet><JointSet><objects>{joints}</objects></JointSet>"
        f"<MarkerSet><objects>{markers}</objects></MarkerSet></Model></OpenSimDocument>"
    )


def _body(name: str, mass: float = 1.0) -> str:
    return (
        f'<Body name="{name}"><mass>{mass}</mass><mass_center>0 0 0</mass_center><inertia>1 1 1 0 0 0</inertia></Body>'
    )


def _joint(name: str, parent: str, child: str, kind: str = "PinJoint") -> str:
    return (
        f'<{kind} name="{name}"><socket_parent_frame>{parent}</socket_parent_frame><socket_child_frame>{child}'
        f'</socket_child_frame><coordinates><Coordinate name="{name}_q"/></coordinates></{kind}>'
    )


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", FileFormatError, "empty"),
        ("<OpenSimDocument><Model>", FileFormatError, "not well-formed"),
        ("<ScaleTool/>", FileFormatError, "no <Model>"),
        ('<!DOCTYPE a [<!ENTITY b "x">]><OpenSimDocument><Model/></OpenSimDocument>', FileFormatError, "entities"),
        (_model(_body("a"), _joint("j", "/ground", "/bodyset/a", "RubberJoint")), ModelError, "RubberJoint"),
        (
            _model(
                _body("a") + _body("b"),
                _joint("j", "/ground", "/bodyset/a")
                + _joint("k", "/bodyset/a", "/bodyset/b")
                + _joint("l", "/ground", "/bodyset/b"),
            ),
            ModelError,
            "loop",
        ),
        (_model(_body("a"), _joint("j", "/bodyset/nobody", "/bodyset/a")), ModelError, "nobody"),
        (_model(_body("a") + _body("b"), _joint("j", "/ground", "/bodyset/a")), ModelError, "connects body 'b'"),
        (
            _model(
                _body("a") + _body("b", 0.0),
                _joint("j", "/ground", "/bodyset/a") + _joint("k", "/bodyset/a", "/bodyset/b"),
            ),
            ModelError,
            "mass of zero",
        ),
        (
            _model(
                _body("a", 0.0) + _body("b"),
                _joint("j", "/ground", "/bodyset/a") + _joint("k", "/bodyset/a", "/bodyset/b"),
                '<Marker name="m"><socket_parent_frame>/bodyset/a</socket_parent_frame>'
                "<location>0 0 0</location></Marker>",
            ),
            ModelError,
            "mass of zero but carries the marker 'm'",
        ),
        (_model(_body("a", -1.0), _joint("j", "/ground", "/bodyset/a")), ModelError, "negative mass"),
        (_model(_body("a", float("nan")), _joint("j", "/ground", "/bodyset/a")), FileFormatError, "not finite"),
    ],
)  # fmt: skip
def test_wrong_models_are_refused_with_one_line(text: str, error: type, says: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.osim"
    path.write_text(text)
    with pytest.raises(error, match=says) as caught:
        read_osim(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_joint_kinds_without_a_recording(tmp_path: Path, opensim) -> None:
    """Ball, free, universal, slider, planar, gimbal and ellipsoid joints, some hanging upside down in the tree."""
    model = opensim.Model()
    model.setName("zoo")
    frame = opensim.Vec3(0.1, 0.2, -0.1), opensim.Vec3(0.3, -0.4, 0.5)
    other = opensim.Vec3(-0.2, 0.1, 0.05), opensim.Vec3(-0.2, 0.1, 0.6)
    previous = model.getGround()
    kinds = [
        "FreeJoint", "BallJoint", "UniversalJoint", "SliderJoint", "PlanarJoint", "GimbalJoint", "EllipsoidJoint",
        "PinJoint",
    ]  # fmt: skip
    for number, kind in enumerate(kinds):
        body = opensim.Body(f"b{number}", 1.0 + number, opensim.Vec3(0.1, 0, 0.2), opensim.Inertia(1, 1, 1))
        model.addBody(body)
        ends = (
            (body, *other, previous, *frame)
            if kind in ("GimbalJoint", "PinJoint")
            else (previous, *frame, body, *other)
        )
        extra = [opensim.Vec3(0.2, 0.3, 0.4)] if kind == "EllipsoidJoint" else []
        model.addJoint(getattr(opensim, kind)(f"j{number}", *ends, *extra))
        previous = body
    model.finalizeConnections()
    model.printToXML(str(tmp_path / "zoo.osim"))
    skeleton = read_osim(tmp_path / "zoo.osim").skeleton
    assert any(joint.reversed for joint in skeleton.joints)
    state = model.initSystem()
    rng = np.random.default_rng(1)
    coordinates = model.getCoordinateSet()
    for _ in range(20):
        for c in skeleton.coordinates:
            coordinates.get(c.name).setValue(state, float(rng.uniform(-1, 1)), False)
        model.realizePosition(state)
        q = torch.tensor([coordinates.get(c.name).getValue(state) for c in skeleton.coordinates], dtype=torch.float64)
        poses = forward_kinematics(skeleton, q)
        for index, name in enumerate(skeleton.body_names):
            transform = model.getBodySet().get(name).getTransformInGround(state)
            np.testing.assert_allclose(poses.position[index].numpy(), transform.p().to_numpy(), atol=1e-12)
            rotation = [[transform.R().get(i, j) for j in range(3)] for i in range(3)]
            np.testing.assert_allclose(poses.rotation[index].numpy(), rotation, atol=1e-12)
