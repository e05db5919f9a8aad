"""Up is found from the markers, in real recordings turned every way, and doubted where a person lies down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.files.axes import SURE, guess_up_axis, rotate_to_ground, up_axis, up_rotation
from motorque.files.trc import read_trc
from motorque.journal import Journal
from motorque.series import Markers

AXES = ("+x", "-x", "+y", "-y", "+z", "-z")
# Every recording of a standing, walking, jumping or sitting person; all of them are Y-up but for the first.
RECORDINGS = (
    "opensim_tests/Scale/init100.trc",
    "opensim_tests/Scale/subject01_static.trc",
    "opensim_tests/IK/subject01_synthetic_marker_data.trc",
    "arnold_synthetic/subject01/markers.trc",
    "arnold_synthetic/subject02/markers.trc",
    "opencap_subject4/markers/STS1.trc",
    "opencap_subject4/markers/DJ1.trc",
    "opencap_subject4/markers/static1.trc",
    "opencap_subject4/markers/squats1.trc",
    "opencap_subject4/markers/walking1.trc",
    "opencap_subject4/markers/walkingTS1.trc",
    "rajagopal_walk/markers_walk.trc",
    "video/pose2sim_balancing/reference/S00_P00_T01_BalancingTrial_0-100.trc",
)


def turned(markers: Markers, up: str) -> Markers:
    """A Y-up recording as a laboratory with another up axis would have written it."""
    return Markers(markers.times, markers.positions @ up_rotation(up), markers.names)


@pytest.mark.parametrize("name", RECORDINGS)
def test_up_is_found_whichever_way_a_recording_is_turned(data: Path, name: str) -> None:
    markers = read_trc(data / name, journal=Journal())
    if name.endswith("init100.trc"):
        markers = Markers(markers.times, markers.positions @ up_rotation("+z").T, markers.names)
    for up in AXES:
        found, confidence = guess_up_axis(turned(markers, up))
        assert found == up
        assert confidence > SURE


@pytest.mark.parametrize("name", ["opensim_tests/Scale/subject01_static.trc", "opencap_subject4/markers/static1.trc"])
def test_up_is_found_without_names(data: Path, name: str) -> None:
    markers = read_trc(data / name, journal=Journal())
    nameless = Markers(markers.times, markers.positions, tuple(f"m{i}" for i in range(len(markers.names))))
    for up in ("+y", "+z", "-z"):
        assert guess_up_axis(turned(nameless, up))[0] == up


def test_a_lying_person_is_doubted(data: Path) -> None:
    standing = read_trc(data / "opencap_subject4/markers/static1.trc", journal=Journal())
    # Tipped backwards: the head points along X, the back lies just above the floor at Z = 0, away from the origin.
    points = standing.positions @ up_rotation("+x")
    points = points - np.nanmin(points, axis=(0, 1)) + np.array([1.3, 2.0, 0.02])
    for axis in range(3):  # whichever of the three axes is vertical
        order = np.roll(np.arange(3), axis)
        found, confidence = guess_up_axis(Markers(standing.times, points[..., order], standing.names))
        assert confidence < SURE
        assert found == "+" + "xyz"[int(np.flatnonzero(order == 2)[0])]


@pytest.mark.parametrize("up", AXES)
def test_rotations_are_proper_and_take_up_to_y(up: str) -> None:
    rotation = up_rotation(up)
    assert np.linalg.det(rotation) == pytest.approx(1.0, abs=1e-15)
    recorded = np.zeros(3)
    recorded["xyz".index(up[1])] = 1.0 if up[0] == "+" else -1.0
    assert (rotation @ recorded == [0, 1, 0]).all()


def test_a_turn_is_recorded_and_none_is_not() -> None:
    markers = Markers([0.0, 0.1], np.arange(12.0).reshape(2, 2, 3), ("a", "b"))
    journal = Journal()
    assert rotate_to_ground(markers, "y", journal=journal)[0] is markers
    assert not journal.notices
    ground, rotation = rotate_to_ground(markers, "Z", journal=journal)
    assert (ground.positions == markers.positions @ rotation.T).all()
    assert [n.kind for n in journal.notices] == ["repair"]
    assert (ground.positions[0, 0] == [0, 2, -1]).all()


def test_axes_as_users_write_them() -> None:
    assert [up_axis(text) for text in ("z", "+Z", " -y ", "X")] == ["+z", "+z", "-y", "+x"]
    for wrong in ("", "up", "zz", "+"):
        with pytest.raises(DataError, match="up axis"):
            up_axis(wrong)


def test_too_few_markers_are_said() -> None:
    with pytest.raises(DataError, match="--up"):
        guess_up_axis(Markers([0.0], np.zeros((1, 2, 3)), ("a", "b")))
