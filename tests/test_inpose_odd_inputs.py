"""Worn sensors as people tell of them: clocks, units, statures and arguments that do not fit; each said in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from motorque.cli import main
from motorque.errors import DataError
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.estimators.inpose.sensors import in_metres
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from test_inpose_sensors import NAMES, REST, recorded


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
