"""Tracks as devices and people really write them: odd units, clocks and gaps."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.closing import log_vectors
from motorque.estimators.inpose.drawing import PAPER, USUAL
from motorque.estimators.inpose.given_bones import bones_of
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.long_sampling import Measured, through_gaps
from motorque.estimators.inpose.network import TINY, PriorNetwork
from motorque.estimators.inpose.sensor_offsets import at_joints, offsets_of
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.estimators.inpose.sensor_units import in_metres
from motorque.estimators.inpose.sensors import check_plausible
from motorque.estimators.inpose.tree import JOINTS, THREE, columns, matrices
from motorque.estimators.inpose.weights import save_weights
from motorque.files.smpl_bones import read_bones
from motorque.files.tracks import read_tracks
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.workflows.sensors import say_misses, sensors_step
from test_inpose_sensors import NAMES, REST, recorded, write


def test_metres_stay_metres_where_short_bones_are_longer_than_published() -> None:
    """All 22 joints of somebody whose collarbones and hips are wider by a third and more, and places in feet."""
    _, points, turns = recorded()
    wide = points.copy()
    for joint, parent in ((1, 0), (2, 0), (16, 13), (17, 14)):
        wide[:, joint] += 0.4 * (points[:, joint] - points[:, parent])
    journal = Journal()
    tracks = Tracks(np.arange(90) / 60, JOINTS, wide, turns, "t.csv")
    np.testing.assert_array_equal(in_metres(tracks, REST, journal=journal).positions, wide)
    assert [n.kind for n in journal.notices] == ["warning"]
    three = Tracks(tracks.times, NAMES, 3.2808 * points[:, list(THREE)], turns[:, list(THREE)])
    with pytest.raises(DataError, match="check units"):
        in_metres(three, REST, journal=journal)


def test_short_gaps_are_bridged_in_recordings_of_60_hz_too() -> None:
    tracks, _, _ = recorded(121)
    positions, rotations = tracks.positions.copy(), tracks.rotations.copy()
    positions[40:43], rotations[40:43] = np.nan, np.nan
    positions[70:90, 1] = np.nan
    journal = Journal()
    found = at_60_hz(Tracks(tracks.times, NAMES, positions, rotations), journal=journal)
    assert found.seen.all() and not found.there[70:90, 1].any() and found.there.sum() == 3 * 121 - 20
    known = np.isfinite(positions)
    np.testing.assert_allclose(found.positions[known], positions[known], atol=1e-12)
    assert np.abs(found.positions[40:43] - tracks.positions[40:43]).max() < 0.002
    assert len(journal.notices) == 1 and "left_wrist's place is missing for 0.33 s" in journal.notices[0].text


@pytest.mark.parametrize("every", [1, 6])
def test_times_may_be_of_a_clock_that_began_long_ago(every: int) -> None:
    """Seconds since 1970 have few digits left; ten rows a second are enough."""
    tracks, _, _ = recorded(121)
    times = tracks.times[::every] + 1.7e9
    late = Tracks(times, NAMES, tracks.positions[::every], tracks.rotations[::every])
    found = at_60_hz(late, journal=Journal())
    assert len(found.times) == 121 and found.there.all() and found.seen.all()


def test_what_a_lost_sensor_says_is_not_measured() -> None:
    """A value that is repeated for a second, zeros, and a place three metres off for two frames."""
    tracks, _, _ = recorded(150)
    places, turns = tracks.positions.copy(), tracks.rotations.copy()
    places[:, 0] += np.linspace(0, 0.5, 150)[:, None]  # who stands still may well say the same
    places[40:100, 1], turns[40:100, 1] = places[40, 1], turns[40, 1]
    places[20:50, 2], turns[20:50, 2] = 0.0, np.eye(3)
    places[120:122, 0, 1] += 3.0
    journal = Journal()
    found = in_metres(Tracks(tracks.times, NAMES, places, turns), REST, journal=journal)
    lost = np.zeros((150, 3), dtype=bool)
    lost[41:100, 1] = lost[20:50, 2] = True
    np.testing.assert_array_equal(found.seen, ~lost)
    lost[120:122, 0] = True
    np.testing.assert_array_equal(found.there, ~lost)
    np.testing.assert_array_equal(found.positions[~lost], places[~lost])
    said = [notice.text for notice in journal.notices]
    assert len(said) == 3 and all("taken as not measured" in text for text in said)
    assert {notice.kind for notice in journal.notices} == {"repair"}


def test_a_jump_that_stays_is_said_and_stillness_is_not() -> None:
    tracks, _, _ = recorded(120)
    still = Tracks(tracks.times, NAMES, tracks.positions[:1].repeat(120, 0), tracks.rotations[:1].repeat(120, 0))
    journal = Journal()
    assert in_metres(still, REST, journal=journal).there.all() and not journal.notices
    places = tracks.positions.copy()
    places[60:] += (2.0, 0.0, 0.0)
    assert in_metres(Tracks(tracks.times, NAMES, places, tracks.rotations), REST, journal=journal).there.all()
    assert len(journal.notices) == 3 and "head moves by 2 m within 0.017 s at 0.98 s" in journal.notices[0].text


def test_through_a_gap_of_all_sensors_the_head_turns_straight() -> None:
    tracks, _, turns = recorded(90)
    six, seen = torch.tensor(columns(turns)), torch.zeros(90, 22, dtype=torch.bool)
    seen[:, list(THREE)] = True
    seen[30:60] = False
    seen[10:20, 15] = False  # others are seen: nothing is made up
    found, told = through_gaps(six, seen)
    head = matrices(found[29:61, 15])
    steps = log_vectors(head[1:] @ head[:-1].mT)
    assert torch.allclose(steps, steps[:1].expand_as(steps), atol=1e-9)
    seen[30:60, 15] = True
    assert torch.equal(told, seen) and torch.equal(found[seen & ~told], six[seen & ~told])


def test_a_stream_goes_on_where_it_was_when_all_sensors_are_gone() -> None:
    """For longer than a window, far from where places are zero; pushes that are refused change nothing."""
    tracks, _, _ = recorded(140)
    there = tracks.positions + np.array([20.0, 0.0, -30.0])
    network = PriorNetwork(replace(TINY, target="residual"), mean=torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22, 1))
    stream, out = InPose(network.eval(), {}).stream(NAMES, REST, hop=6, delay=5), []
    for t in range(140):
        frame = {n: (there[t, i], tracks.rotations[t, i]) for i, n in enumerate(NAMES)}
        out += stream.push(frame if not 30 <= t < 110 else {})
        for wrong in ({"head": (np.zeros(2), None)}, {"head": (None, np.ones((3, 3)))}, {"head": ("a", None)}):
            with pytest.raises(DataError, match="stream: "):
                stream.push(wrong)  # type: ignore[dict-item]
    pelvis = np.stack([body.pelvis for body in out + stream.flush()])
    assert len(pelvis) == 140 and np.abs(pelvis - there[:, 0]).max() < 1.5
    assert np.linalg.norm(np.diff(pelvis[:107], axis=0), axis=-1).max() * 60 < 10.0  # until sensors are back


def test_bones_that_nobody_told_are_said(tmp_path: Path) -> None:
    path, journal = tmp_path / "b.json", Journal()
    for text, said in (("{}", "neither bones nor a height"), ('{"height": 170}', "no person's; give metres")):
        path.write_text(text)
        with pytest.raises(FileFormatError, match=said):
            read_bones(path)
    path.write_text('{"left_elbow": 0.3, "height": 1.6}')
    read_bones(path, journal=journal)
    assert not journal.notices
    path.write_text('{"left_elbow": 0.3}')
    read_bones(path, journal=journal)
    assert journal.notices[0].text.startswith("20 bones are told neither") and len(journal.notices) == 1


def test_an_offset_of_a_sensor_that_is_not_there_is_said() -> None:
    nothing = torch.zeros(5, 22, dtype=torch.bool)
    measured = Measured(torch.zeros(5, 22, 6), nothing, torch.zeros(5, 22, 3), nothing, torch.tensor(REST[:22]))
    journal = Journal()
    at_joints(measured, offsets_of({"pelvis": (0.0, 0.0, 0.1)}), journal=journal)
    assert "no place of pelvis is measured" in journal.notices[0].text


def test_forearms_that_point_back_are_said() -> None:
    """Inverse rotations of somebody whose arms hang and who faces where the world does: nothing else tells them."""
    places = np.tile([[0.0, 1.5, 0.0], [0.25, 0.85, 0.0], [-0.25, 0.85, 0.0]], (60, 1, 1))
    down = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turns = np.tile(np.stack([np.eye(3), down, down.T]), (60, 1, 1, 1))
    journal = Journal()
    check_plausible(Tracks(np.arange(60) / 60, NAMES, places, turns), journal=journal)
    assert not journal.notices
    check_plausible(Tracks(np.arange(60) / 60, NAMES, places, turns.swapaxes(-1, -2)), journal=journal)
    assert "try --convention inverse or --t-pose" in journal.notices[0].text


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("left_hand", "no joint 'left_hand'; did you mean 'left_wrist'?"),
        ("RightController", "did you mean 'right_wrist'?"),
        ("l_hand", "did you mean 'left_wrist'?"),
        ("hmd", "did you mean 'head'?"),
        ("waist", "did you mean 'pelvis'?"),
        ("rigth_wrist", "did you mean 'right_wrist'?"),
    ],
)
def test_what_devices_call_sensors_is_told_as_joints(tmp_path: Path, names: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(f"time,{names}_px,{names}_py,{names}_pz\n0,1,2,3\n")
    with pytest.raises(FileFormatError, match=re.escape(said)):
        read_tracks(tmp_path / "t.csv")


def test_frame_numbers_and_times_that_come_twice_are_told_as_such() -> None:
    tracks, _, _ = recorded(60)
    with pytest.raises(DataError, match="look like numbers of frames: divide them by the rows a second"):
        at_60_hz(replace(tracks, times=np.arange(60) + 1.0), journal=Journal())
    with pytest.raises(DataError, match="milliseconds: divide them by 1000"):
        at_60_hz(replace(tracks, times=np.arange(60) * 10.0), journal=Journal())
    with pytest.raises(DataError, match="at frame 3 .*leave out what comes twice, or write more digits"):
        replace(tracks, times=tracks.times[[0, 1, 2, 2, *range(4, 60)]])
    with pytest.raises(DataError, match="sort the frames by time"):
        replace(tracks, times=tracks.times[::-1])


def test_a_hand_that_was_copied_to_the_other_is_refused() -> None:
    tracks, _, _ = recorded(60)
    places = tracks.positions[:, [0, 1, 1]]
    with pytest.raises(DataError, match="left_wrist and right_wrist are at the very same place; one was copied"):
        in_metres(replace(tracks, positions=places), REST, journal=Journal())


def test_quaternions_with_w_last_are_not_only_said_to_be_upside_down(tmp_path: Path) -> None:
    tracks, _, _ = recorded(60)
    last = {f"{n}_q": Rotation.from_matrix(tracks.rotations[:, i]).as_quat() for i, n in enumerate(NAMES)}
    np.savez(tmp_path / "t.npz", time=tracks.times, **last)
    with pytest.raises(DataError, match="put w first in quaternions, or with --up"):
        check_plausible(read_tracks(tmp_path / "t.npz"), journal=Journal())
    lies = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    with pytest.raises(DataError, match="average; with --up"):  # z is up: another order would not help
        check_plausible(replace(tracks, rotations=lies @ tracks.rotations), journal=Journal())


def test_somebody_may_lie_if_what_is_up_is_told() -> None:
    tracks, _, _ = recorded(60)
    lies = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    lying = Tracks(tracks.times, NAMES, tracks.positions @ lies.T, lies @ tracks.rotations)
    journal = Journal()
    with pytest.raises(DataError, match="or --up y for somebody who lies"):
        check_plausible(lying, journal=journal)
    check_plausible(lying, up="y", journal=journal)
    assert len(journal.notices) == 1 and "if the person did not lie" in journal.notices[0].text


def test_a_body_that_misses_its_sensors_is_said(tmp_path: Path) -> None:
    """An adult's tracks with a child's bones, which can't reach from hand to hand."""
    tracks, _, _ = recorded(30)
    network = PriorNetwork(replace(TINY, target="residual"), mean=torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22, 1))
    save_weights(tmp_path / "w.safetensors", network, {})
    path, journal = write(tmp_path / "t.csv", tracks), Journal()
    own = {"height": 1.35, "weights": tmp_path / "w.safetensors", "samples": 1, "fit_bones": False}
    sensors_step(path, tmp_path / "out", journal=journal, **own)  # type: ignore[arg-type]
    assert any("nobody with these bones" in notice.text for notice in journal.notices)
    before = len(journal.notices)
    say_misses({"head": {"mean": 0.0, "p95": 4.9}}, USUAL, "t.csv", journal)
    say_misses({"head": {"mean": 0.0, "p95": 20.0}}, replace(USUAL, noise=0.06), "t.csv", journal)
    say_misses({"head": {"mean": 0.0, "p95": 20.0}}, PAPER, "t.csv", journal)
    assert len(journal.notices) == before


def test_settings_that_can_not_be_are_one_line() -> None:
    with pytest.raises(DataError, match="root 'foo'"):
        replace(USUAL, root="foo")  # type: ignore[arg-type]
    for name in ("noise", "rotation_noise", "smooth"):
        for wrong in (-1.0, float("nan")):
            with pytest.raises(DataError, match="0 or more"):
                replace(USUAL, **{name: wrong})
    tracks, _, _ = recorded(30)
    with pytest.raises(DataError, match="no 'inch'"):
        in_metres(tracks, REST, units="inch", journal=Journal())  # type: ignore[arg-type]
    bones = bones_of(np.float32(1.6), sex="unknown", journal=Journal())  # type: ignore[arg-type]
    assert bones.height == pytest.approx(1.6) and bones.rest.shape == (24, 3)


@pytest.mark.parametrize(
    ("factor", "turn", "said"),
    [
        (100.0, np.eye(3), "apart"),
        (1.0, np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), "up"),
    ],
)
def test_a_stream_of_another_unit_or_world_is_refused_with_its_first_window(
    factor: float, turn: np.ndarray, said: str
) -> None:
    tracks, _, _ = recorded(45)
    network = PriorNetwork(replace(TINY, target="residual"), mean=torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22, 1))
    stream = InPose(network.eval(), {}).stream(NAMES, REST)
    frames = [
        {n: (factor * turn @ tracks.positions[t, i], turn @ tracks.rotations[t, i]) for i, n in enumerate(NAMES)}
        for t in range(45)
    ]
    for frame in frames[:40]:
        stream.push(frame)
    for frame in frames[40:]:
        with pytest.raises(DataError, match=said):
            stream.push(frame)


def test_a_stream_in_a_devices_words_is_that_in_ours() -> None:
    """A z-up world, centimetres and rotations that look back, as OpenXR has them, by options."""
    tracks, _, _ = recorded(45)
    network = PriorNetwork(replace(TINY, target="residual"), mean=torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(22, 1))
    prior, up = InPose(network.eval(), {}), np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    ours, theirs = prior.stream(NAMES, REST), prior.stream(NAMES, REST, up="z", convention="openxr", units="cm")
    for t in range(45):
        told = {n: (tracks.positions[t, i], tracks.rotations[t, i]) for i, n in enumerate(NAMES)}
        back = np.diag([-1.0, 1.0, -1.0])
        bodies = ours.push(told), theirs.push({n: (100 * up @ p, up @ r @ back) for n, (p, r) in told.items()})
        for one, other in zip(*bodies, strict=True):
            assert np.abs(one.pelvis - other.pelvis).max() < 1e-4
            assert np.abs(one.rotations - other.rotations).max() < 1e-3
    with pytest.raises(DataError, match="no unit"):
        prior.stream(NAMES, REST, units="miles")  # type: ignore[arg-type]
