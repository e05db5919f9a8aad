"""Motions and kinetics as files: names of every style, degrees, couplers that outrank the file, and what is said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.files.motion_files import read_kinetics, read_motion, write_kinetics, write_motion
from motorque.files.osim import read_osim
from motorque.files.storage import Table, read_storage, write_storage
from motorque.journal import Journal
from motorque.series import Kinetics, Motion
from motorque.skeleton.skeleton import Skeleton

NAMES = ("pelvis_tilt", "pelvis_tx", "hip_flexion_r", "knee_angle_r")
COUPLED = "knee_angle_r_beta"


@pytest.fixture(scope="module")
def skeleton(data: Path) -> Skeleton:
    """A model with angles, lengths and coupled coordinates."""
    return read_osim(data / "rajagopal_walk" / "subject_walk_scaled.osim", journal=Journal()).skeleton


def made(folder: Path, columns: tuple[str, ...], values: object, *, degrees: bool = True, name: str = "m.sto") -> Path:
    array = np.atleast_2d(np.asarray(values, dtype=float))
    path = folder / name
    write_storage(path, Table("m", np.arange(len(array)) / 100, columns, array, {}, degrees))
    return path


def texts(journal: Journal, kind: str) -> list[str]:
    return [n.text for n in journal.notices if n.kind == kind]


@pytest.mark.parametrize(
    "style", ["{c}", "/jointset/{j}/{c}/value", "{j}/{c}/value", "{j}/{c}", "/jointset/{j}/{c}"], ids=range(5)
)
def test_columns_of_every_style(tmp_path: Path, skeleton: Skeleton, style: str) -> None:
    joints = [skeleton.coordinates[skeleton.coordinate(name)].joint for name in NAMES]
    columns = tuple(style.format(c=c, j=j) for c, j in zip(NAMES, joints, strict=True))
    speeds = tuple(f"/jointset/{j}/{c}/speed" for c, j in zip(NAMES, joints, strict=True))
    path = made(tmp_path, columns + speeds, [[30, 0.5, 20, 60, 9, 9, 9, 9]] * 3)
    motion = read_motion(path, skeleton)
    assert motion.names == skeleton.coordinate_names
    for name, value in zip(NAMES, (np.radians(30), 0.5, np.radians(20), np.radians(60)), strict=True):
        np.testing.assert_allclose(motion.column(name), value, rtol=1e-12)


def test_degrees_are_angles_only(tmp_path: Path, skeleton: Skeleton) -> None:
    for degrees, factor in ((True, np.pi / 180), (False, 1.0)):
        motion = read_motion(made(tmp_path, NAMES, [0.1, 0.2, 0.3, 0.4], degrees=degrees), skeleton)
        assert motion.column("pelvis_tilt")[0] == pytest.approx(0.1 * factor, rel=1e-12)
        assert motion.column("pelvis_tx")[0] == pytest.approx(0.2, rel=1e-12)


def test_missing_coordinates_take_the_default_and_are_said(tmp_path: Path, skeleton: Skeleton) -> None:
    journal = Journal()
    motion = read_motion(made(tmp_path, (*NAMES, "soleus_r"), [0] * 5), skeleton, journal=journal)
    default = skeleton.coordinates[skeleton.coordinate("pelvis_ty")].default
    assert default != 0
    assert (motion.column("pelvis_ty") == default).all()
    (said,) = texts(journal, "assumption")
    assert "pelvis_ty" in said
    assert COUPLED not in said and "knee_angle_r," not in said
    assert texts(journal, "info") == [f"1 columns of m.sto are no coordinates of {skeleton.name}: soleus_r"]


def test_locked_coordinates_come_from_the_file(tmp_path: Path, skeleton: Skeleton) -> None:
    coordinates = tuple(dataclasses.replace(c, locked=c.name == "knee_angle_r") for c in skeleton.coordinates)
    locked = dataclasses.replace(skeleton, coordinates=coordinates)
    motion = read_motion(made(tmp_path, NAMES, [0, 0, 0, 0.25], degrees=False), locked)
    assert motion.column("knee_angle_r")[0] == pytest.approx(0.25, rel=1e-12)


def coupled_values(skeleton: Skeleton, knee: np.ndarray) -> np.ndarray:
    q = skeleton.default_pose.repeat(len(knee), 1)
    q[:, skeleton.coordinate("knee_angle_r")] = torch.as_tensor(knee)
    return skeleton.couple(q)[:, skeleton.coordinate(COUPLED)].numpy()


def test_coupled_coordinates_come_from_their_coupler(tmp_path: Path, skeleton: Skeleton) -> None:
    knee = np.linspace(0.1, 1.2, 5)
    right = coupled_values(skeleton, knee)
    cases = {
        "agrees": (right, []),
        "agrees to rounding": (right + np.radians(0.09), []),
        "in degrees": (np.degrees(right), [f"{COUPLED} is in degrees in m.sto, against its header"]),
        "contradicts": (right + np.radians(2.5), [f"{COUPLED} in m.sto contradicts its coupler by up to 2.5°"]),
        "contradicts a little": (
            right + np.radians(0.11),
            [f"{COUPLED} in m.sto contradicts its coupler by up to 0.11°"],
        ),
    }
    for given, expected in cases.values():
        journal = Journal()
        path = made(tmp_path, ("knee_angle_r", COUPLED), np.stack([knee, given], axis=1), degrees=False)
        motion = read_motion(path, skeleton, journal=journal)
        np.testing.assert_allclose(motion.column(COUPLED), right, atol=1e-9)
        assert [text.split(";")[0] for text in texts(journal, "repair")] == expected


def test_the_walk_whose_header_says_radians_but_whose_patella_is_in_degrees(data: Path, skeleton: Skeleton) -> None:
    journal = Journal()
    motion = read_motion(data / "rajagopal_walk" / "coordinates.sto", skeleton, journal=journal)
    assert [text.split(" in coordinates.sto")[0] for text in texts(journal, "repair")] == [
        "knee_angle_r_beta is in degrees",
        "knee_angle_l_beta is in degrees",
    ]
    for side in "rl":
        assert np.abs(motion.column(f"knee_angle_{side}_beta") - motion.column(f"knee_angle_{side}")).max() < 0.01
    assert np.abs(motion.column("knee_angle_r")).max() < 2


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        (("elbow_flex", "shoulder_elev"), [1, 2], r"none of its columns \(elbow_flex, shoulder_elev….*pelvis_tilt"),
        (("pelvis_tilt", "/jointset/ground_pelvis/pelvis_tilt/value"), [1, 2], "pelvis_tilt has 2 columns"),
        (("pelvis_tilt",), [float("nan")], "pelvis_tilt is not a number at 0 s"),
    ],
)
def test_wrong_motions(
    tmp_path: Path, skeleton: Skeleton, columns: tuple[str, ...], values: list[float], message: str
) -> None:
    path = made(tmp_path, columns, values)
    with pytest.raises(DataError, match=message) as caught:
        read_motion(path, skeleton)
    assert str(path) in str(caught.value)


def test_the_motion_of_another_model(data: Path, skeleton: Skeleton) -> None:
    with pytest.raises(DataError, match="none of its columns .*give a motion of this model"):
        read_motion(data / "opensim_tests" / "ID" / "arm26_InverseKinematics.mot", skeleton)


def test_angles_that_can_not_be_radians_are_said(tmp_path: Path, skeleton: Skeleton) -> None:
    journal = Journal()
    read_motion(made(tmp_path, NAMES, [30, 1, 40, 60], degrees=False), skeleton, journal=journal)
    assert any("does not say that its angles are in degrees" in text for text in texts(journal, "warning"))


def test_motions_round_trip_and_opensim_agrees(tmp_path: Path, skeleton: Skeleton, opensim) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(5)
    q = skeleton.couple(torch.as_tensor(rng.uniform(-0.5, 0.5, (7, skeleton.nq)))).numpy()
    motion = Motion(np.arange(7) / 100, q, skeleton.coordinate_names)
    path = tmp_path / "m.mot"
    write_motion(path, motion, skeleton)
    journal = Journal()
    np.testing.assert_allclose(read_motion(path, skeleton, journal=journal).values, q, atol=1e-9)
    assert journal.notices == []
    storage = opensim.Storage(str(path))
    assert storage.isInDegrees()
    labels = storage.getColumnLabels()
    assert [labels.get(i) for i in range(1, labels.getSize())] == list(skeleton.coordinate_names)


def test_opensim_takes_the_written_angles_as_they_were_meant(
    data: Path, tmp_path: Path, skeleton: Skeleton, opensim
) -> None:  # type: ignore[no-untyped-def]
    q = skeleton.couple(torch.full((3, skeleton.nq), 0.3, dtype=torch.float64)).numpy()
    path = tmp_path / "m.mot"
    write_motion(path, Motion(np.arange(3) / 100, q, skeleton.coordinate_names), skeleton)
    model = opensim.Model(str(data / "rajagopal_walk" / "subject_walk_scaled.osim"))
    model.initSystem()
    storage = opensim.Storage(str(path))
    model.getSimbodyEngine().convertDegreesToRadians(storage)
    vector = storage.getStateVector(0)
    values = vector.getData()
    read = np.array([values.get(i) for i in range(values.getSize())])
    np.testing.assert_allclose(read, q[0], atol=1e-9)


def test_kinetics_have_opensims_names_and_round_trip(tmp_path: Path, skeleton: Skeleton) -> None:
    values = np.random.default_rng(1).normal(size=(4, skeleton.nq)) * 100
    path = tmp_path / "id.sto"
    write_kinetics(path, Kinetics(np.arange(4) / 100, values, skeleton.coordinate_names), skeleton)
    lines = path.read_text().split("\n")
    assert lines[:6] == [
        "Inverse Dynamics Generalized Forces", "version=1", "nRows=4", f"nColumns={skeleton.nq + 1}", "inDegrees=no",
        "endheader",
    ]  # fmt: skip
    columns = read_storage(path).columns
    assert columns[:4] == ("pelvis_tilt_moment", "pelvis_list_moment", "pelvis_rotation_moment", "pelvis_tx_force")
    found = read_kinetics(path, skeleton)
    assert found.names == skeleton.coordinate_names
    np.testing.assert_allclose(found.values, values, rtol=1e-9)


def test_kinetics_of_opensims_own_tool_have_the_same_names(data: Path, skeleton: Skeleton, tmp_path: Path) -> None:
    stored = read_storage(data / "rajagopal_walk" / "id_walk.sto")
    kinetics = read_kinetics(data / "rajagopal_walk" / "id_walk.sto", skeleton)
    assert len(kinetics.names) == len(stored.columns)
    write_kinetics(tmp_path / "id.sto", kinetics, skeleton)
    assert read_storage(tmp_path / "id.sto").columns == stored.columns


def test_kinetics_of_another_model(data: Path, skeleton: Skeleton) -> None:
    with pytest.raises(DataError, match="is a generalized force of"):
        read_kinetics(data / "opensim_tests" / "ID" / "std_arm26_InverseDynamics.sto", skeleton)
