"""Marker files: every dialect is read, what is written opens in OpenSim unchanged, what is wrong is named."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from motorque.errors import DataError, FileFormatError
from motorque.files.trc import read_trc, write_trc
from motorque.journal import Journal
from motorque.series import Markers

PLAIN = (
    "PathFileType\t4\t(X/Y/Z)\tt.trc\n"
    "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames\n"
    "100\t100\t3\t2\tmm\t100\t1\t3\n"
    "Frame#\tTime\tA\t\t\tB\t\t\n"
    "\t\tX1\tY1\tZ1\tX2\tY2\tZ2\n"
    "\n"
    "1\t0.00\t1000\t2000\t3000\t4000\t5000\t6000\n"
    "2\t0.01\t1001\t2001\t3001\t4001\t5001\t6001\n"
    "3\t0.02\t1002\t2002\t3002\t4002\t5002\t6002\n"
)
EXPECTED = np.array([[[1000.0, 2000, 3000], [4000, 5000, 6000]]] * 3) / 1000 + np.arange(3)[:, None, None] / 1000
SHORTER = {"abdbonepin.trc": 19.9}
"""Recordings whose header promises more frames than there are, and the last time that they have [s]."""


def written(folder: Path, text: str, name: str = "t.trc") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def cell(text: str, line: int, column: int, value: str) -> str:
    """The file with one cell replaced; lines and columns from 0."""
    lines = text.split("\n")
    cells = lines[line].split("\t")
    cells[column] = value
    lines[line] = "\t".join(cells)
    return "\n".join(lines)


def people(frames: int = 20, markers: int = 8, *, seed: int = 0) -> Markers:
    """Points spread over the height of a person."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([0, 0, 0], [0.5, 1.8, 0.5], (markers, 3)) + 0.01 * rng.normal(size=(frames, markers, 3))
    return Markers(np.arange(frames) / 100, points, tuple(f"M{i}" for i in range(markers)))


def test_every_recording_is_read_as_opensim_reads_it(data: Path, opensim) -> None:  # type: ignore[no-untyped-def]
    files = sorted(data.rglob("*.trc"))
    assert len(files) > 12
    for path in files:
        journal = Journal()
        found = read_trc(path, end=SHORTER.get(path.name), journal=journal)
        # What a sound recording is told about: only gaps, and what was left out of a cut one
        assert [n for n in journal.notices if "gaps" not in n.text and path.name not in SHORTER] == []
        reference = opensim.MarkerData(str(path))
        names = reference.getMarkerNames()
        assert [names.get(i) for i in range(names.getSize())] == list(found.names), path
        assert reference.getNumFrames() == len(found.times)
        reference.convertToUnits(opensim.Units("m"))
        for row in (0, len(found.times) - 1):
            frame = reference.getFrame(row)
            assert frame.getFrameTime() == pytest.approx(found.times[row], abs=1e-9)
            points = [frame.getMarker(i) for i in range(len(found.names))]
            expected = np.array([[p.get(axis) for axis in range(3)] for p in points])
            seen = found.seen[row]
            np.testing.assert_allclose(found.positions[row, seen], expected[seen], rtol=1e-12, atol=1e-12)
            assert not np.isfinite(expected[~seen]).all(axis=1).any() or (expected[~seen] == 0).all(axis=1).any()


def test_a_recording_that_is_shorter_than_its_header_says(data: Path) -> None:
    for name, last in SHORTER.items():
        (path,) = data.rglob(name)
        with pytest.raises(FileFormatError, match=rf"the header says \d+ frames, the file has \d+.*--end {last:g}"):
            read_trc(path)
        journal = Journal()
        read_trc(path, end=last, journal=journal)
        assert [n.kind for n in journal.notices] == ["warning"]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\t\t\n\n",
        PLAIN.replace("\tmm\t", "\tMM\t"),
        PLAIN.replace("Time\tA\t\t\tB\t\t\n\t\tX1", "Time\t\tA\t\tB\n\t\t\tX1"),
        PLAIN.replace("\n\n1", "\n1"),
        PLAIN.replace("\t", "\t\t"),
        PLAIN.replace("0.00\t", "0.00\t\t").replace("0.01\t", "0.01\t\t").replace("0.02\t", "0.02\t\t"),
        PLAIN[: PLAIN.index("1\t0.00")] + PLAIN[PLAIN.index("1\t0.00") :].replace("\t", "  "),
        PLAIN[: PLAIN.index("1\t0.00")] + PLAIN[PLAIN.index("1\t0.00") :].replace("\n", "\t\t\n"),
        PLAIN.replace("\t1000\t", "\t 1.000e+03 \t"),
        "\ufeff" + PLAIN,
    ],
    ids=range(13),
)
def test_dialects(tmp_path: Path, text: str) -> None:
    journal = Journal()
    found = read_trc(written(tmp_path, text), journal=journal)
    assert found.names == ("A", "B")
    np.testing.assert_allclose(found.times, [0, 0.01, 0.02], atol=1e-15)
    np.testing.assert_allclose(found.positions, EXPECTED, atol=1e-12)
    assert journal.notices == []


@pytest.mark.parametrize("units", ["m", "cm", "mm"])
def test_units_of_the_header(tmp_path: Path, units: str) -> None:
    found = read_trc(written(tmp_path, PLAIN.replace("\tmm\t", f"\t{units}\t")))
    np.testing.assert_allclose(found.positions, EXPECTED * {"m": 1000, "cm": 10, "mm": 1}[units], rtol=1e-12)


@pytest.mark.parametrize("blank", ["", "   ", "NaN", "nan", "-nan(ind)"])
def test_gaps(tmp_path: Path, blank: str) -> None:
    text = PLAIN
    for column in (5, 6, 7):
        text = cell(text, 7, column, blank)
    found = read_trc(written(tmp_path, text))
    assert found.seen.tolist() == [[True, True], [True, False], [True, True]]
    # the blanks of a gap at the end of a row may be missing
    assert read_trc(written(tmp_path, text.replace("3001\t\t\t\n", "3001\n"))).seen.tolist() == found.seen.tolist()


def test_gaps_between_doubled_tabs(tmp_path: Path) -> None:
    text = PLAIN.replace("0.00\t", "0.00\t\t").replace("0.01\t", "0.01\t\t").replace("0.02\t", "0.02\t\t")
    found = read_trc(written(tmp_path, text.replace("\t1001\t2001\t3001", "\t\t\t")))
    assert found.seen.tolist() == [[True, True], [False, True], [True, True]]
    np.testing.assert_allclose(found.positions[found.seen], EXPECTED[found.seen])


def test_points_at_the_origin_and_half_points_are_gaps_and_said(tmp_path: Path) -> None:
    text = PLAIN.replace("1001\t2001\t3001", "0\t0.0\t-0").replace("4002\t5002\t6002", "4002\t\t6002")
    journal = Journal()
    found = read_trc(written(tmp_path, text), journal=journal)
    assert found.seen.tolist() == [[True, True], [False, True], [True, False]]
    assert [(n.kind, n.text.split(" are taken")[0]) for n in journal.notices] == [
        ("repair", "1 samples lie exactly at the origin and"),
        ("repair", "1 samples lack a coordinate and"),
    ]


def test_markers_without_a_label(tmp_path: Path) -> None:
    journal = Journal()
    for text in (
        PLAIN.replace("\tB\t\t", "\t\t\t"),
        PLAIN.replace("\tB\t", "\t*\t"),
        PLAIN.replace("\tB\t", "\t*17\t"),
    ):
        assert read_trc(written(tmp_path, text), journal=journal).names == ("A", "*1")
    assert [n.text for n in journal.notices] == ["1 markers have no label"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b,c\n1,2,3\n", "line 1: must begin with 'PathFileType'"),
        (PLAIN[:200], "the file is cut off"),
        (PLAIN[: PLAIN.index("1\t0.00")], "no frame after the header"),
        (PLAIN[: PLAIN.index("3\t0.02")], "header says 3 frames, the file has 2"),
        (PLAIN[:-20], "line 9: ends in the middle of a frame"),
        (PLAIN.replace("100\t3\t2", "100\t2\t2"), "header says 2 frames, the file has 3.*NumFrames"),
        (PLAIN.replace("100\t3\t2", "100\t3\t3"), "line 4: the header says 3 markers, 2 are named"),
        (
            PLAIN.replace("100\t3\t2", "100\t3\t3").replace("B\t\t", "B\t\t\tC"),
            "line 7: 8 values where 11 are expected",
        ),
        (PLAIN.replace("100\t3\t2", "100\t3\t1"), "line 4: the header says 1 markers, 2 are named"),
        (PLAIN.replace("100\t3\t2", "100\t3\t-2"), "line 3: .*positive numbers"),
        (PLAIN.replace("100\t3\t2", "100\tthree\t2"), "line 3: .*positive numbers"),
        (PLAIN.replace("100\t3\t2", "100\tinf\t2"), "line 3: .*positive numbers"),
        (PLAIN.replace("NumMarkers\t", ""), "line 2: the header lacks|line 3"),
        (PLAIN.replace("NumFrames", "Frames"), "line 2: the header lacks 'NumFrames'"),
        (PLAIN.replace("\tmm\t", "\tinch\t"), "line 3: the unit 'inch' is not known"),
        (PLAIN.replace("Frame#\tTime", "Index\tTime"), "line 4: must begin with 'Frame#'"),
        (PLAIN.replace("\tB\t", "\tA\t"), "line 4: the marker 'A' is named twice"),
        (cell(PLAIN, 7, 3, "12,5"), "line 8, marker 'A' Y: '12,5' is no number"),
        (cell(PLAIN, 8, 7, "x"), "line 9, marker 'B' Z: 'x' is no number"),
        (cell(PLAIN, 7, 1, "soon"), "line 8, time: 'soon' is no number"),
        (cell(PLAIN, 7, 1, ""), "line 8: the frame has no time"),
        (cell(PLAIN, 7, 1, "0.05"), "time does not increase at frame 2"),
        (cell(PLAIN, 7, 7, "6001\t7\t8\t9"), "line 8: 11 values where 8 are expected for 2 markers"),
        ("\x00" * 50, "is empty|not a text file"),
    ],
    ids=range(25),
)
def test_wrong_files_are_named_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_trc(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_leads_to_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(PLAIN.encode())
    pieces = st.binary(max_size=6) | st.text("0123456789.eE-+nainf*\t\r\n ", max_size=8).map(str.encode)
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        content[begin : data.draw(st.integers(begin, min(begin + 20, len(content))))] = data.draw(pieces)
    path = tmp_path_factory.getbasetemp() / "damaged.trc"
    path.write_bytes(bytes(content))
    try:
        found = read_trc(path)
    except FileFormatError as error:
        assert "\n" not in str(error)
    else:
        assert found.positions.shape == (len(found.times), len(found.names), 3)


def test_a_header_that_promises_a_billion_markers_costs_no_memory(tmp_path: Path) -> None:
    path = written(tmp_path, PLAIN.replace("100\t3\t2", "100\t3\t1000000000"))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="header says 1000000000 markers, 2 are named"):
        read_trc(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_a_wrong_unit_is_repaired_and_said(tmp_path: Path) -> None:
    markers = people()
    for units, wrong in (("mm", "m"), ("m", "mm")):
        path = tmp_path / "t.trc"
        write_trc(path, markers, units=units)
        path.write_text(path.read_text().replace(f"\t{units}\t", f"\t{wrong}\t", 1))
        journal = Journal()
        np.testing.assert_allclose(read_trc(path, journal=journal).positions, markers.positions, atol=1e-9)
        assert [n.kind for n in journal.notices] == ["repair"]
        assert f"the header's unit is {wrong}" in journal.notices[0].text
        # what the user says holds, whatever it looks like
        journal = Journal()
        asked = read_trc(path, units=wrong, journal=journal).positions
        np.testing.assert_allclose(asked, markers.positions * (1000 if wrong == "m" else 0.001), rtol=1e-9)
        assert [n.kind for n in journal.notices] == ["warning"]
        journal = Journal()
        np.testing.assert_allclose(read_trc(path, units=units, journal=journal).positions, markers.positions, atol=1e-9)
        assert journal.notices == []


def test_a_wrong_rate_is_said_and_the_times_hold(tmp_path: Path) -> None:
    journal = Journal()
    found = read_trc(written(tmp_path, PLAIN.replace("100\t100\t3", "120\t120\t3")), journal=journal)
    assert found.rate == pytest.approx(100)
    assert [n.text.split(";")[0] for n in journal.notices] == ["the header says 120 Hz, the time column 100 Hz"]


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    frames, count = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    points = data.draw(arrays(np.float64, (frames, count, 3), elements=st.floats(-9, 9, allow_subnormal=False)))
    points[data.draw(arrays(np.bool_, (frames, count)))] = np.nan
    markers = Markers(np.arange(frames) / 59.94 + 3, points, tuple(f"m {i}" for i in range(count)))
    units = data.draw(st.sampled_from(["mm", "m"]))
    path = tmp_path_factory.mktemp("t") / "t.trc"
    write_trc(path, markers, units=units)
    found = read_trc(path, units=units)
    assert found.names == markers.names
    np.testing.assert_allclose(found.times, markers.times, rtol=1e-9)
    np.testing.assert_allclose(found.positions, markers.positions, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("units", ["mm", "m"])
def test_opensim_reads_what_is_written(tmp_path: Path, opensim, units: str) -> None:  # type: ignore[no-untyped-def]
    positions = people().positions.copy()
    positions[4:7, 2] = np.nan
    positions[-1, -1] = np.nan
    markers = Markers(people().times, positions, people().names)
    path = tmp_path / "t.trc"
    write_trc(path, markers, units=units)
    table = opensim.TimeSeriesTableVec3(str(path))
    assert table.getTableMetaDataString("Units") == units
    assert list(table.getColumnLabels()) == list(markers.names)
    np.testing.assert_allclose(table.getIndependentColumn(), markers.times, atol=1e-9)
    flat = table.flatten()  # kept: the wheel crashes on temporaries
    matrix = flat.getMatrix().to_numpy().reshape(positions.shape)
    np.testing.assert_allclose(matrix * (0.001 if units == "mm" else 1), positions, atol=1e-9)
    older = opensim.MarkerData(str(path))
    assert older.getNumFrames() == len(markers.times)


def test_a_file_whose_name_is_no_text_is_written(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xffd.trc")
    write_trc(path, Markers(np.array([0.0, 0.01]), np.ones((2, 1, 3)), ("M",)))
    assert read_trc(path, journal=Journal()).names == ("M",)


def test_what_can_not_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not in 'inch'"):
        write_trc(tmp_path / "t.trc", people(), units="inch")
    with pytest.raises(DataError, match="can't be written"):
        write_trc(tmp_path / "t.trc", Markers([0.0], np.zeros((1, 1, 3)), ("a\tb",)))


def test_long_recordings_are_read_quickly(tmp_path: Path) -> None:
    markers = people(10_000, 60)
    path = tmp_path / "t.trc"
    write_trc(path, markers)
    began = time.process_time()
    found = read_trc(path)
    took = time.process_time() - began
    np.testing.assert_allclose(found.positions, markers.positions, atol=1e-9)
    # A Python loop over the 1.8 million cells takes several times as long.
    assert took < 4.0, f"{took:.2f} s"
