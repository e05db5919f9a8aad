"""The built-in skeleton against the published model, and its way to OpenSim and back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError, ModelError, OutputError
from motorque.files.osim import read_osim
from motorque.files.osim_write import write_osim
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Scales
from motorque.skeleton import Skeleton
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.fullbody_tables import COUPLERS, GENERIC_HEIGHT
from motorque.skeleton.functions import Sine

POSES = 200
METERS = RADIANS = 1e-6
DATA = Path(os.environ.get("MOTORQUE_DATA", Path(__file__).parents[2] / "shared/data"))
PUBLISHED = DATA / "models/LaiUhlrich2022.osim"
published = pytest.mark.skipif(not PUBLISHED.is_file(), reason=f"needs {PUBLISHED} (set MOTORQUE_DATA)")


def random_poses(skeleton: Skeleton, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    low = np.array([max(c.range[0], -2.0) for c in skeleton.coordinates])
    high = np.array([min(c.range[1], 2.0) for c in skeleton.coordinates])
    return torch.tensor(rng.uniform(low, high, (POSES, skeleton.nq)))


def wheel_poses(path: Path, skeleton: Skeleton, q: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Every body's rotation and origin in ground as OpenSim has them, coordinates set one by one, nothing assembled."""
    opensim = pytest.importorskip("opensim", reason="the opensim wheel is the oracle")
    opensim.Logger.setLevelString("Off")
    opensim.Logger.removeFileSink()
    model = opensim.Model(str(path))
    state = model.initSystem()
    coordinates = [model.getCoordinateSet().get(name) for name in skeleton.coordinate_names]
    bodies = [model.getBodySet().get(name) for name in skeleton.body_names]
    rotation = np.empty((len(q), len(bodies), 3, 3))
    position = np.empty((len(q), len(bodies), 3))
    for frame, pose in enumerate(q.tolist()):
        for coordinate, value in zip(coordinates, pose, strict=True):
            coordinate.setLocked(state, False)
            coordinate.setValue(state, value, False)
        model.realizePosition(state)
        for index, body in enumerate(bodies):
            transform = body.getTransformInGround(state)
            turn, shift = transform.R(), transform.p()
            rotation[frame, index] = [[turn.get(i, j) for j in range(3)] for i in range(3)]
            position[frame, index] = [shift.get(i) for i in range(3)]
    return rotation, position


def assert_same_poses(skeleton: Skeleton, q: torch.Tensor, rotation: np.ndarray, position: np.ndarray) -> None:
    ours = forward_kinematics(skeleton, q)
    np.testing.assert_allclose(ours.position.numpy(), position, atol=METERS, rtol=0)
    turn = np.einsum("tbij,tbkj->tbik", ours.rotation.numpy(), rotation)
    skew = turn - np.swapaxes(turn, -1, -2)
    angle = 0.5 * np.sqrt((skew**2).sum((-1, -2)) / 2)  # sine of the angle between the two
    assert angle.max() <= RADIANS
    assert (np.trace(turn, axis1=-2, axis2=-1) > 2).all()


@published
def test_places_bodies_as_opensim_places_the_published_model() -> None:
    skeleton = fullbody()
    q = random_poses(skeleton)
    assert_same_poses(skeleton, q, *wheel_poses(PUBLISHED, skeleton, q))


@published
def test_numbers_equal_the_published_model() -> None:
    ours, theirs = fullbody(), read_osim(PUBLISHED).skeleton
    assert ours.body_names == theirs.body_names
    assert ours.coordinate_names == theirs.coordinate_names
    assert [j.name for j in ours.joints] == [j.name for j in theirs.joints]
    assert [j.kind for j in ours.joints] == [j.kind for j in theirs.joints]
    for field in ("mass", "mass_center", "inertia"):
        torch.testing.assert_close(getattr(ours, field), getattr(theirs, field), rtol=1e-14, atol=0)
    for a, b in zip(ours.coordinates, theirs.coordinates, strict=True):
        for field in ("name", "rotational", "clamped", "locked", "joint"):
            assert getattr(a, field) == getattr(b, field)
        assert (a.default, *a.range) == pytest.approx((b.default, *b.range), abs=1e-12)
    assert [(c.name, c.dependent, c.independent) for c in ours.couplers] == [
        (c.name, c.dependent, c.independent) for c in theirs.couplers
    ]


def test_left_is_the_mirror_image_of_right() -> None:
    skeleton = fullbody()
    q = random_poses(skeleton)
    for index, name in enumerate(skeleton.coordinate_names):
        if name.endswith(("_l", "_l_beta")):
            q[:, index] = q[:, skeleton.coordinate(name.replace("_l", "_r") if "_l_" in name else f"{name[:-2]}_r")]
    for name in ("pelvis_list", "pelvis_rotation", "pelvis_tz", "lumbar_bending", "lumbar_rotation"):
        q[:, skeleton.coordinate(name)] = 0
    position = forward_kinematics(skeleton, q).position
    for index, name in enumerate(skeleton.body_names):
        if name.endswith("_r"):
            left = position[:, skeleton.body(f"{name[:-2]}_l")] * torch.tensor([1.0, 1.0, -1.0])
            torch.testing.assert_close(position[:, index], left, atol=1e-6, rtol=0)


def test_patella_follows_the_knee() -> None:
    skeleton = fullbody()
    coupled = skeleton.couple(random_poses(skeleton))
    for _, dependent, independent in COUPLERS:
        torch.testing.assert_close(
            coupled[:, skeleton.coordinate(dependent)], coupled[:, skeleton.coordinate(independent)]
        )


def test_soles_touch_the_ground_and_the_head_is_at_the_stated_height() -> None:
    """In the default pose the spheres' lowest points and the marker on the vertex are GENERIC_HEIGHT apart, to 3 cm."""
    skeleton = fullbody()
    poses = forward_kinematics(skeleton, skeleton.default_pose)
    assert len(skeleton.contact_spheres) == 12
    lowest = min(
        float(poses.point(s.body, torch.tensor(s.center, dtype=torch.float64))[1]) - s.radius
        for s in skeleton.contact_spheres
    )
    top = skeleton.marker_names.index("head_top")
    head = float(poses.point(skeleton.markers[top].body, skeleton.marker_position[top])[1])
    assert head - lowest == pytest.approx(GENERIC_HEIGHT, abs=0.03)


def test_height_and_mass_scale_uniformly() -> None:
    generic, tall = fullbody(), fullbody(height=1.87, mass=90.0)
    factor = 1.87 / GENERIC_HEIGHT
    assert tall.total_mass() == pytest.approx(90.0, rel=1e-12)
    q = random_poses(generic)
    stretched = q.clone()
    stretched[:, 3:6] *= factor
    torch.testing.assert_close(
        forward_kinematics(tall, stretched).position,
        forward_kinematics(generic, q).position * factor,
        atol=1e-12,
        rtol=0,
    )
    expected = generic.inertia * factor**2 * 90.0 / generic.total_mass()
    torch.testing.assert_close(tall.inertia, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("bad", [{"height": 170.0}, {"mass": -70.0}, {"mass": float("nan")}, {"sex": "x"}])
def test_refuses_what_no_person_is(bad: dict) -> None:
    with pytest.raises(DataError):
        fullbody(**bad)


@pytest.mark.parametrize("person", [{}, {"sex": "f", "height": 1.6, "mass": 55.0}])
def test_written_model_opens_in_opensim_and_reads_back(tmp_path: Path, person: dict) -> None:
    skeleton = fullbody(**person)
    path = tmp_path / "model.osim"
    write_osim(path, skeleton)
    q = random_poses(skeleton)
    assert_same_poses(skeleton, q, *wheel_poses(path, skeleton, q))
    again = read_osim(path).skeleton
    assert again.body_names == skeleton.body_names
    assert again.marker_names == skeleton.marker_names
    assert again.markers == skeleton.markers
    assert again.coordinates == skeleton.coordinates
    assert again.contact_spheres == skeleton.contact_spheres
    assert [(c.name, c.dependent, c.independent, c.function, c.scale) for c in again.couplers] == [
        (c.name, c.dependent, c.independent, c.function, c.scale) for c in skeleton.couplers
    ]
    for field in ("mass", "mass_center", "inertia", "marker_position", "gravity"):
        assert torch.equal(getattr(again, field), getattr(skeleton, field)), field
    ours, theirs = forward_kinematics(skeleton, q), forward_kinematics(again, q)
    torch.testing.assert_close(theirs.position, ours.position, atol=1e-12, rtol=0)
    torch.testing.assert_close(theirs.rotation, ours.rotation, atol=1e-12, rtol=0)


def test_contact_in_the_written_model_is_geometry_without_force(tmp_path: Path) -> None:
    opensim = pytest.importorskip("opensim", reason="the opensim wheel is the oracle")
    path = tmp_path / "model.osim"
    write_osim(path, fullbody())
    opensim.Logger.setLevelString("Off")
    model = opensim.Model(str(path))
    model.initSystem()
    assert model.getForceSet().getSize() == 0
    assert model.getContactGeometrySet().getSize() == 13  # twelve spheres and the floor
    assert "Rajagopal" in model.getCredits() and "motorque" in model.getCredits()


def test_locked_and_unbounded_coordinates_survive_writing(tmp_path: Path) -> None:
    skeleton = fullbody()
    coordinates = list(skeleton.coordinates)
    mtp = skeleton.coordinate("mtp_angle_r")
    coordinates[mtp] = replace(coordinates[mtp], locked=True, default=0.1)
    arm = skeleton.coordinate("arm_rot_l")
    coordinates[arm] = replace(coordinates[arm], clamped=False, range=(-np.inf, np.inf))
    path = tmp_path / "model.osim"
    write_osim(path, replace(skeleton, coordinates=tuple(coordinates)))
    assert read_osim(path).skeleton.coordinates == tuple(coordinates)


OTHER_MODELS = (
    "models/LaiArnoldModified2017_contacts.osim",
    "rajagopal_walk/subject_walk_scaled.osim",
    "opencap_subject4/models/manually_scaled.osim",
    "arnold_synthetic/subject01/subject01.osim",
    "opensim_tests/IK/subject01_simbody.osim",
    "opensim_tests/StaticOptimization/DoublePendulum3D.osim",
    "video/pose2sim_balancing/reference/Model_Pose2Sim_LSTM_scaled.osim",
)


@pytest.mark.parametrize("name", OTHER_MODELS)
def test_other_models_survive_being_written_anew(tmp_path: Path, name: str) -> None:
    if not (DATA / name).is_file():
        pytest.skip(f"needs {DATA / name} (set MOTORQUE_DATA)")
    skeleton = read_osim(DATA / name).skeleton
    path = tmp_path / "again.osim"
    write_osim(path, skeleton, credits="test")
    again = read_osim(path).skeleton
    assert again.coordinate_names == skeleton.coordinate_names
    q = random_poses(skeleton)
    shuffle = [again.body_names.index(b) for b in skeleton.body_names]
    ours, theirs = forward_kinematics(skeleton, q), forward_kinematics(again, q)
    torch.testing.assert_close(theirs.position[:, shuffle], ours.position, atol=1e-9, rtol=0)
    torch.testing.assert_close(theirs.rotation[:, shuffle], ours.rotation, atol=1e-9, rtol=0)


def test_bones_shown_are_scaled_with_the_body(tmp_path: Path) -> None:
    path = tmp_path / "model.osim"
    write_osim(path, fullbody(), scales=Scales(("femur_l",), np.array([[1.1, 1.2, 1.3]])))
    tree = read_osim(path).tree
    factors = tree.findtext(".//Body[@name='femur_l']//Mesh/scale_factors")
    assert factors is not None and [float(f) for f in factors.split()] == [1.1, 1.2, 1.3]
    assert tree.findtext(".//Body[@name='femur_l']//Mesh/mesh_file") == "l_femur.vtp"
    assert tree.findtext(".//Body[@name='humerus_l']//Mesh/mesh_file") == "humerus_lv.vtp"


def test_place_that_can_not_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="model.osim"):
        write_osim(tmp_path / "file" / "model.osim", fullbody())
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_joint_that_no_new_model_can_hold_is_refused(tmp_path: Path) -> None:
    skeleton = fullbody()
    joint = skeleton.joints[0]
    element = replace(joint.elements[3], factor=Sine(1.0), factor_coordinate=0)
    joint = replace(joint, elements=(*joint.elements[:3], element, *joint.elements[4:]))
    broken = replace(skeleton, joints=(joint, *skeleton.joints[1:]))
    with pytest.raises(ModelError, match="ground_pelvis"):
        write_osim(tmp_path / "model.osim", broken)
    assert list(tmp_path.iterdir()) == []
