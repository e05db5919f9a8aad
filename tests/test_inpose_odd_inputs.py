"""Worn sensors as people tell of them: clocks, units, statures and arguments that do not fit; each said in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorque.cli import main
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.network import TINY, PriorNetwork
from motorque.estimators.inpose.resample import resampled
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.estimators.inpose.sensor_units import in_metres
from motorque.estimators.inpose.sensors import in_smpls_world, measured_of
from motorque.estimators.inpose.tree import JOINTS
from motorque.estimators.inpose.weights import save_weights
from motorque.files.smpl_bones import read_bones, read_offsets
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.workflows.sensors import sensors_step
from test_inpose_sensors import NAMES, REST, recorded, write


@pytest.mark.parametrize("frames", [5, -5])
def test_a_sensor_that_is_late_is_put_where_it_was(frames: int) -> None:
    """Rows of a left hand that show what was 83 ms before, or of a fast one; all three are then of one moment again."""
    tracks, _, _ = recorded(120)
    rows = (np.arange(120) - frames).clip(0, 119)
    places, turns = tracks.positions.copy(), tracks.rotations.copy()
    places[:, 1], turns[:, 1] = places[rows, 1], turns[rows, 1]
    late, journal = Tracks(tracks.times, NAMES, places, turns, "t.csv"), Journal()
    found = at_60_hz(late, delays={"left_wrist": frames / 60}, journal=journal)
    first = max(0, -frames)
    assert len(found.times) == 115 and found.times[0] == pytest.approx(first / 60)
    np.testing.assert_allclose(found.positions, tracks.positions[first : first + 115], atol=1e-9)
    np.testing.assert_allclose(found.rotations, tracks.rotations[first : first + 115], atol=1e-9)
    assert [n.text for n in journal.notices] == [f"rows were taken earlier: left_wrist's by {1000 * frames / 60:g} ms"]
    between = at_60_hz(tracks, delays={"head": 0.008, "left_wrist": 0.008, "right_wrist": 0.008}, journal=Journal())
    np.testing.assert_allclose(between.times, tracks.times - 0.008, atol=1e-9)  # one clock: another zero
    np.testing.assert_allclose(between.positions, tracks.positions, atol=1e-9)


@pytest.mark.parametrize(
    ("delays", "said"),
    [
        ({"pelvis": 0.08}, "no sensor of 'pelvis'; there are head"),
        ({"head": 80.0}, "head can't be 80000 ms late"),
        ({"head": float("nan")}, "can't be nan ms"),
        ({"head": 0.5, "left_wrist": -0.5}, "no moment in common"),
    ],
)
def test_delays_that_can_not_be(delays: dict[str, float], said: str) -> None:
    tracks, _, _ = recorded(50)
    with pytest.raises(DataError, match=said):
        at_60_hz(tracks, delays=delays, journal=Journal())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--delay", "head"], "give one as left_wrist=80, in milliseconds"),
        (["--delay", "head=x"], "x"),
        (["--delay", "head=1", "--delay", "head=2"], "--delay: head's is given twice"),
    ],
)
def test_delays_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "t.csv").write_text("time,head_px,head_py,head_pz\n0,1,2,3\n")
    try:
        code = main(["sensors", str(tmp_path / "t.csv"), "--out", str(tmp_path / "o"), *arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("row", "jump", "said"),
    [
        (5, 1e5, "t.csv: row 6: the time jumps from 0.0666666.* s, .*clock right, or end the recording at row 5"),
        (1, 1.7e9, "row 2: the time jumps from 0 to 1700000000 s, .* or leave row 1 out"),
        (60, 600.0, "row 61: .* pauses for 60 s at most"),
    ],
)
def test_a_clock_that_jumps_is_refused_with_its_row(row: int, jump: float, said: str) -> None:
    """Before anything is made for the years between, or bodies are made up for ten minutes."""
    tracks, _, _ = recorded(120)
    times = tracks.times + jump * (np.arange(120) >= row)
    with pytest.raises(DataError, match=said):
        at_60_hz(replace(tracks, times=times, source="t.csv"), journal=Journal())
    with pytest.raises(DataError, match="the time jumps"):
        resampled(times, tracks.rotations, tracks.positions[:, 0], 60.0)


def test_pauses_that_are_nearly_all_of_a_recording_are_refused_and_one_is_told_in_seconds() -> None:
    tracks, _, _ = recorded(120)
    times = tracks.times + 50.0 * (np.arange(120) // 10)
    with pytest.raises(DataError, match="120 rows in 552 s are too few, the longest pause .50 s. is before row "):
        at_60_hz(replace(tracks, times=times), journal=Journal())
    journal = Journal()
    found = at_60_hz(replace(tracks, times=tracks.times + 10.0 * (np.arange(120) >= 60)), journal=journal)
    assert len(found.times) == 720 and "usually 16.7 ms and up to 10 s apart" in journal.notices[0].text


def test_all_sensors_that_drop_out_together_are_one_line() -> None:
    tracks, _, _ = recorded(120)
    places, turns = tracks.positions.copy(), tracks.rotations.copy()
    places[30:60], turns[30:60] = np.nan, np.nan
    gone = replace(tracks, positions=places, rotations=turns)
    journal = Journal()
    at_60_hz(gone, journal=journal)
    assert len(journal.notices) == 1
    said = "head's, left_wrist's and right_wrist's place and rotation are missing for 0.5 s from 0.50 s"
    assert journal.notices[0].text.startswith(said)
    places[80:90, 1] = np.nan  # a hand's place once more: it is lost at other times than the rest
    journal = Journal()
    at_60_hz(replace(gone, positions=places), journal=journal)
    assert [n.text.split(" missing")[0] for n in journal.notices] == [
        "head's place and rotation and left_wrist's rotation and right_wrist's place and rotation are",
        "left_wrist's place is",
    ]
    places[30:60], turns[30:60] = 0.0, np.eye(3)  # as some devices write it
    places[80:90, 1], journal = tracks.positions[80:90, 1], Journal()
    at_60_hz(in_metres(replace(tracks, positions=places, rotations=turns), REST, journal=journal), journal=journal)
    assert [n.text.split(" is ")[0] for n in journal.notices][0] == "head's, left_wrist's and right_wrist's place"
    assert len(journal.notices) == 2


def standing(*, apart: float = 1.0) -> Tracks:
    """The head and hands of somebody of 1.7 m who stands, hands so many times as far from the head as usual."""
    head = np.array([0.0, REST[15, 1] - REST[[7, 8], 1].mean() + 0.08, 0.0])
    ways = apart * np.array([[0.0, 0.0, 0.0], [0.25, -0.75, 0.1], [-0.25, -0.75, 0.1]])
    sway = 0.02 * np.sin(np.arange(60) / 10)[:, None, None] * np.array([1.0, 0.2, 0.5])
    return Tracks(np.arange(60) / 60, NAMES, head + ways + sway, np.tile(np.eye(3), (60, 3, 1, 1)), "t.csv")


@pytest.mark.parametrize(("unit", "word"), [("cm", "cm"), ("mm", "mm"), ("in", "inches")])
@pytest.mark.parametrize("floor", [0.0, None])
def test_units_are_found_and_said(unit: str, word: str, floor: float | None) -> None:
    """Inches are not taken for centimetres, in which somebody would be 2.5 times smaller."""
    tracks, factor = standing(), {"cm": 100.0, "mm": 1000.0, "in": 1 / 0.0254}[unit]
    journal = Journal()
    other = replace(tracks, positions=factor * tracks.positions)
    found = in_metres(other, REST, floor=floor, journal=journal)
    np.testing.assert_allclose(found.positions, tracks.positions, atol=1e-12)
    assert [n.text.split(",")[0] for n in journal.notices] == [f"places are in {word}"]


def test_centimetres_or_inches_are_told_by_the_head_s_height_or_not_at_all() -> None:
    """Hands that are kept near the head are as far from it in centimetres as others are in inches."""
    for tracks, unit in ((standing(apart=0.55), 0.01), (standing(apart=1.3), 0.0254)):
        other = replace(tracks, positions=tracks.positions / unit)
        found = in_metres(other, REST, floor=0.0, journal=Journal())
        np.testing.assert_allclose(found.positions, tracks.positions)
        with pytest.raises(DataError, match="may be in centimetres or in inches; say which .--units cm, --units in"):
            in_metres(other, REST, floor=None, journal=Journal())
    found = in_metres(other, REST, units="in", journal=Journal())
    np.testing.assert_allclose(found.positions, tracks.positions)


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        ((0.25, -0.75, 0.1), (-0.25, -0.75, 0.1), "hands are far below the head"),
        ((0.25, 0.4, 0.1), (-0.25, 0.4, 0.1), "hands are above the head"),
        ((0.2, -0.2, 0.6), (-0.2, -0.2, 0.6), "hands are both before, behind or beside"),
        ((0.5, 0.3, 0.0), (-0.3, -0.6, 0.0), "one hand is far above the other"),
        ((0.65, -0.2, 0.0), (-0.65, -0.2, 0.0), ""),
        ((0.55, -0.5, 0.1), (-0.55, -0.5, 0.1), ""),  # arms that sag by 30 degrees
    ],
)
@pytest.mark.parametrize("unit", [1.0, 0.01])
def test_a_t_pose_that_is_none_is_refused(
    left: tuple[float, ...], right: tuple[float, ...], said: str, unit: float
) -> None:
    tracks = standing()
    head = tracks.positions[:, :1]
    places = np.concatenate([head, head + left, head + right], axis=1) / unit
    if not said:
        in_smpls_world(replace(tracks, positions=places), t_pose=0.5)
        return
    with pytest.raises(DataError, match=f"t.csv: nobody is in the T-pose at 0.5 s: {said}"):
        in_smpls_world(replace(tracks, positions=places), t_pose=0.5)


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize(("own", "others"), [("cm", "m"), ("mm", "m"), ("in", "m"), ("m", "cm"), ("m", "mm")])
def test_one_sensor_in_another_unit_is_named(number: int, own: str, others: str) -> None:
    """Converted as all are, bodies would be wrong without a word; a head in metres among hands in cm looks still."""
    units, tracks = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}, standing()
    places = tracks.positions / units[others]
    places[:, number] *= units[others] / units[own]
    for some in ([0, 1, 2], sorted({0, number or 1})):
        mixed = Tracks(tracks.times, tuple(NAMES[i] for i in some), places[:, some], tracks.rotations[:, some], "t.csv")
        with pytest.raises(DataError, match=r"t.csv: places of .* look as if they were in") as error:
            in_metres(mixed, REST, floor=0.0, journal=Journal())
        one = f"places of {NAMES[number]} look as if they were in {own} and "
        other = f"places of {NAMES[some[0] + some[-1] - number]} look as if they were in {others} and "
        assert one in str(error.value) or (len(some) == 2 and other in str(error.value))
        if one in str(error.value):
            assert f"{NAMES[number]}'s multiplied by {units[own] / units[others]:.6g}" in str(error.value)


def test_a_head_at_the_origin_is_no_sensor_of_another_unit() -> None:
    """Centimetres from where the headset began, of somebody who hardly moves it; and what is said outright counts."""
    tracks = standing()
    places = 100 * (tracks.positions - tracks.positions[:1, :1]) + 0.1
    places[:, 1:] *= 1 + 0.3 * np.sin(np.arange(60) / 10)[:, None, None]
    journal = Journal()
    in_metres(replace(tracks, positions=places), REST, journal=journal)
    assert [n.text.split(",")[0] for n in journal.notices] == ["places are in cm"]
    head = 100 * tracks.positions
    head[:, 0] /= 100
    with pytest.raises(DataError, match="or --units cm if all are"):
        in_metres(replace(tracks, positions=head), REST, journal=Journal())
    in_metres(replace(tracks, positions=head), REST, units="cm", journal=Journal())


@pytest.mark.parametrize("unit", ["cm", "mm", "in"])
def test_a_unit_that_makes_a_doll_of_somebody_is_refused(unit: str) -> None:
    with pytest.raises(DataError, match=f"t.csv: in {unit}, .* which is nobody's; --units m would fit, or leave it"):
        in_metres(standing(), REST, units=unit, journal=Journal())  # type: ignore[arg-type]


def test_a_head_alone_in_inches_and_places_in_feet() -> None:
    tracks = standing()
    alone = Tracks(tracks.times, ("head",), tracks.positions[:, :1] / 0.0254, tracks.rotations[:, :1])
    found = in_metres(alone, REST, floor=0.0, journal=Journal())
    np.testing.assert_allclose(found.positions, tracks.positions[:, :1])
    with pytest.raises(DataError, match="in centimetres or in inches"):
        in_metres(replace(alone, positions=1.15 * alone.positions), REST, floor=0.0, journal=Journal())
    with pytest.raises(DataError, match="places in feet would fit: multiply them by 0.3048"):
        in_metres(replace(tracks, positions=tracks.positions / 0.3048), REST, journal=Journal())


@pytest.mark.parametrize(("factor", "said"), [(0.63, "hardly ever above 0.99 m"), (1.2, "usually 1.87 m"), (1.0, "")])
def test_a_stature_that_is_not_the_head_s_is_said(factor: float, said: str) -> None:
    """A child's tracks, or a giant's, with an adult's bones."""
    tracks, journal = standing(), Journal()
    measured_of(replace(tracks, positions=factor * tracks.positions), REST, floor=0.0, journal=journal)
    texts = [n.text for n in journal.notices]
    assert len(texts) == (said != "") and all(said in text and "bones are of about 1.70 m" in text for text in texts)
    if factor == 0.63:
        assert "of about 1.1" in texts[0] and "or the person sits" in texts[0]


def test_a_height_beside_all_bones_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bones.json"
    for content in (REST[:22].tolist(), {JOINTS[j]: REST[j].tolist() for j in range(22)}):
        path.write_text(json.dumps(content))
        for height, kinds in ((None, []), (1.7, ["info"]), (1.2, ["warning"])):
            journal = Journal()
            read_bones(path, height=height, journal=journal)
            assert [n.kind for n in journal.notices] == kinds
    assert "height of 1.2 m counts for nothing" in journal.notices[0].text and "about 1.70 m" in journal.notices[0].text
    path.write_text(json.dumps({"left_elbow": 0.3}))
    journal = Journal()
    read_bones(path, height=1.7, journal=journal)
    assert not journal.notices  # of the other bones it counts


def test_what_is_no_tracks_and_no_floor_is_refused_in_a_line() -> None:
    prior = InPose(None, {})  # type: ignore[arg-type]
    with pytest.raises(DataError, match="tracks.csv' is no Tracks; read a file of them with mq.read_tracks"):
        prior.sample("tracks.csv", 1.7)  # type: ignore[arg-type]
    for wrong in (float("nan"), "0"):
        with pytest.raises(DataError, match="is no height; give metres, or None"):
            prior.sample(recorded(30)[0], 1.7, floor=wrong)  # type: ignore[arg-type]
        with pytest.raises(DataError, match="is no height; give metres, or None"):
            prior.stream(NAMES, 1.7, floor=wrong)  # type: ignore[arg-type]


def test_offsets_of_sensors_are_read_from_the_bones_file(tmp_path: Path) -> None:
    path = tmp_path / "bones.json"
    offsets = {"head": [0, 0.05, 0.1], "left_wrist": [0.02, 0, 0]}
    path.write_text(json.dumps({"height": 1.7, "offsets": offsets}))
    assert read_offsets(path) == {"head": (0.0, 0.05, 0.1), "left_wrist": (0.02, 0.0, 0.0)}
    np.testing.assert_allclose(read_bones(path)[:22], REST[:22])
    for wrong, said in (({"hat": [0, 0, 0]}, "no joint 'hat'"), ({"head": [0, 1]}, "three numbers"), ([1], "by joint")):
        path.write_text(json.dumps({"height": 1.7, "offsets": wrong}))
        with pytest.raises(FileFormatError, match=said):
            read_offsets(path)
    path.write_text(json.dumps({"height": 1.7, "offsets": offsets}))
    save_weights(tmp_path / "w.safetensors", PriorNetwork(replace(TINY, target="residual")), {})
    own = {"bones": path, "weights": tmp_path / "w.safetensors", "samples": 1}
    table = write(tmp_path / "t.csv", recorded(30)[0])
    sensors_step(table, tmp_path / "o", offsets={"head": (0.0, 0.0, 0.08)}, **own)  # type: ignore[arg-type]
    told = json.loads((tmp_path / "o" / "summary.json").read_text())["offsets_m"]
    assert told == {"head": [0.0, 0.0, 0.08], "left_wrist": [0.02, 0.0, 0.0]}  # an option counts before the file
