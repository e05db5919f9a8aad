"""Worn sensors as people tell of them: clocks, units, statures and arguments that do not fit; each said in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.cli import main
from motorque.errors import DataError
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from test_inpose_sensors import NAMES, recorded


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
