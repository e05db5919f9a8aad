"""OpenSim's tables: every dialect is read, what is written opens in OpenSim unchanged, what is wrong is named."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from motorque.errors import DataError, FileFormatError
from motorque.files.storage import Table, read_storage, write_storage
from motorque.journal import Journal

PLAIN = "Coordinates\nversion=1\nnRows=2\nnColumns=3\ninDegrees=yes\n\nendheader\ntime\ta\tb\n0\t1\t2\n0.1\t3\t4\n"

EMPTY_TABLES = {"DoublePendulum3D_controls.sto"}
"""Files that hold column names and nothing else: there is no table to read."""

REPEATING = {"walk_subject01_Kinematics_q.sto"}
"""Files with rows that repeat the time of the row before."""


def written(folder: Path, text: str, name: str = "t.sto") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def table(**changes: object) -> Table:
    fields: dict = dict(name="x", times=np.array([0.0, 0.1]), columns=("a", "b"), data=np.array([[1.0, 2], [3, 4]]))
    return Table(**(fields | changes))


def test_every_table_among_the_recordings_is_read_as_opensim_reads_it(data: Path, opensim) -> None:  # type: ignore[no-untyped-def]
    files = sorted([*data.rglob("*.mot"), *data.rglob("*.sto")])
    assert len(files) > 40
    for path in files:
        if path.name in EMPTY_TABLES:
            with pytest.raises(FileFormatError, match="no rows"):
                read_storage(path)
            continue
        journal = Journal()
        found = read_storage(path, journal=journal)
        assert found.data.shape == (len(found.times), len(found.columns))
        reference = opensim.Storage(str(path))
        labels = reference.getColumnLabels()
        assert [labels.get(i) for i in range(1, labels.getSize())] == list(found.columns), path
        assert reference.isInDegrees() == found.in_degrees, path
        # OpenSim too leaves out rows that repeat a time, without a word.
        assert reference.getSize() == len(found.times), path
        assert bool(journal.notices) == (path.name in REPEATING), path
        for row in (0, -1):
            vector = reference.getStateVector(reference.getSize() - 1 if row else 0)
            values = np.array([vector.getData().get(i) for i in range(vector.getSize())])
            assert vector.getTime() == pytest.approx(found.times[row], abs=1e-12)
            np.testing.assert_allclose(found.data[row], values, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "\ufeff" + PLAIN,
        PLAIN.replace("0.1\t3\t4", "0.1\t3\t4\t\t"),
        PLAIN.replace("\t", "\t\t").replace("time\t\ta\t\tb", "time\ta\tb"),
        PLAIN.replace("\t", "   "),
        PLAIN.replace("0\t1\t2", "  0.00000000\t     1.00000000\t     2.0e0"),
        PLAIN.rstrip("\n"),
        PLAIN + "\n\n",
        PLAIN.replace("version=1\nnRows=2", "DataType=double\nversion=3"),
        PLAIN.replace("=", " = "),
        "name m.mot\ndatacolumns 3\ndatarows 2\nrange 0 0.1\n# SIMM Motion File Header:\nendheader\n"
        "time\ta\tb\n0\t1\t2\n0.1\t3\t4\n",
        "Coordinates\nnRows=2\nnColumns=3\n\nAngles are in degrees.\n\nendheader\ntime\ta\tb\n0\t1\t2\n0.1\t3\t4\n",
    ],
    ids=range(14),
)
def test_header_and_line_dialects(tmp_path: Path, text: str) -> None:
    found = read_storage(written(tmp_path, text, "t.mot"))
    assert found.columns == ("a", "b")
    assert found.in_degrees
    assert (found.times == [0, 0.1]).all()
    assert (found.data == [[1, 2], [3, 4]]).all()


@pytest.mark.parametrize("suffix", ["mot", "sto"])
@pytest.mark.parametrize(
    "header",
    [
        "",
        "version=1\n",
        "version=1\ninDegrees=no\n",
        "version=1\ninDegrees=yes\n",
        "DataType=double\nversion=3\n",
        "Angles are in degrees.\n",
        "version=1\nAngles are in degrees.\n",
    ],
)
def test_degrees_are_told_as_opensim_tells_them(tmp_path: Path, opensim, header: str, suffix: str) -> None:  # type: ignore[no-untyped-def]
    path = written(
        tmp_path,
        f"Coordinates\n{header}nRows=2\nnColumns=3\nendheader\ntime\ta\tb\n0\t1\t2\n0.1\t3\t4\n",
        f"t.{suffix}",
    )
    reference = opensim.Storage(str(path))
    assert read_storage(path).in_degrees == reference.isInDegrees()


def test_what_a_file_says_about_degrees_is_believed(tmp_path: Path) -> None:
    """OpenSim takes a .mot without a version for degrees even where it says radians."""
    for line in ("inDegrees=no", "Angles are in radians."):
        text = f"Coordinates\n{line}\nendheader\ntime\ta\n0\t1\n"
        assert not read_storage(written(tmp_path, text, "t.mot")).in_degrees


@pytest.mark.parametrize("cell", ["nan", "NaN", "-nan", "-nan(ind)", "1.#QNAN", "-1.#IND00"])
def test_spellings_of_missing_values(tmp_path: Path, cell: str) -> None:
    found = read_storage(written(tmp_path, PLAIN.replace("\t3\t", f"\t{cell}\t")))
    assert np.isnan(found.data[1, 0])
    assert np.isfinite(found.data).sum() == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        (PLAIN[:40], "no 'endheader'"),
        (PLAIN[: PLAIN.index("time")], "nothing after the header"),
        (PLAIN[: PLAIN.index("0\t1")], "header says 2 rows, the file has 0"),
        (PLAIN[: PLAIN.index("0.1")], "header says 2 rows, the file has 1"),
        (PLAIN[: PLAIN.index("\t4")], "line 10: 2 values for 3 columns"),
        (PLAIN.replace("3\t4", "3\tfour"), "line 10, column 'b': 'four' is no number"),
        (PLAIN.replace("\t3", ""), "line 10: 2 values for 3 columns"),
        (PLAIN.replace("time", "frame"), "first column must be 'time', got 'frame'"),
        (PLAIN.replace("0.1\t", "-0.1\t"), "time does not increase"),
        (PLAIN.replace("version=1", "DataType=Vec3"), "type Vec3 are not supported"),
        ("\x00\x01" * 100, "not a text file"),
    ],
    ids=lambda value: value[:24] if "\n" not in value else "text",
)
def test_wrong_files_are_named_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(FileFormatError, match=message) as caught:
        read_storage(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damage_leads_to_anything_but_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(PLAIN.encode())
    pieces = st.binary(max_size=6) | st.text("0123456789.eE-+nainf=\t\r\n ", max_size=8).map(str.encode)
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(content)))
        content[begin : data.draw(st.integers(begin, min(begin + 20, len(content))))] = data.draw(pieces)
    path = tmp_path_factory.getbasetemp() / "damaged.sto"
    path.write_bytes(bytes(content))
    try:
        found = read_storage(path)
    except FileFormatError as error:
        assert "\n" not in str(error)
    else:
        assert found.data.shape == (len(found.times), len(found.columns))


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        read_storage(tmp_path / "none.sto")
    with pytest.raises(FileFormatError, match="is a folder"):
        read_storage(tmp_path)


def test_rows_that_repeat_a_time_are_left_out_and_said(tmp_path: Path) -> None:
    journal = Journal()
    text = PLAIN.replace("0.1\t3\t4", "0\t9\t9\n0.1\t3\t4").replace("nRows=2", "nRows=3")
    assert (read_storage(written(tmp_path, text), journal=journal).data == [[1, 2], [3, 4]]).all()
    assert [n.kind for n in journal.notices] == ["repair"]


def test_columns_by_name() -> None:
    assert (table().column("b") == [2, 4]).all()
    with pytest.raises(DataError, match="no column 'c'"):
        table().column("c")
    with pytest.raises(DataError, match="2 columns named 'a'"):
        table(columns=("a", "a")).column("a")


finite = st.floats(-1e30, 1e30, allow_subnormal=False) | st.just(float("nan"))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 5))
    values = data.draw(arrays(np.float64, (rows, columns), elements=finite))
    degrees = data.draw(st.booleans())
    times = np.cumsum(data.draw(arrays(np.float64, rows, elements=st.floats(1e-3, 10))))
    path = tmp_path_factory.mktemp("t") / "t.sto"
    write_storage(path, Table("n", times, tuple(f"c{i}" for i in range(columns)), values, {"k": "v"}, degrees))
    found = read_storage(path)
    assert (found.name, found.in_degrees, found.header["k"]) == ("n", degrees, "v")
    assert found.columns == tuple(f"c{i}" for i in range(columns))
    np.testing.assert_allclose(found.times, times, rtol=1e-9)
    np.testing.assert_allclose(found.data, values, rtol=1e-9)


def test_opensim_reads_what_is_written(tmp_path: Path, opensim) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(3)
    values = rng.normal(size=(50, 4)) * 10.0 ** rng.integers(-6, 6, size=4)
    values[7, 2] = np.nan
    written_table = Table("Coordinates", np.arange(50) / 60, ("a", "b_moment", "c d", "/x/y/value"), values, {}, True)
    path = tmp_path / "t.mot"
    write_storage(path, written_table)
    series = opensim.TimeSeriesTable(str(path))
    assert list(series.getColumnLabels()) == list(written_table.columns)
    assert series.getTableMetaDataString("inDegrees") == "yes"
    np.testing.assert_allclose(series.getIndependentColumn(), written_table.times, rtol=1e-9, atol=0)
    np.testing.assert_allclose(series.getMatrix().to_numpy(), values, rtol=1e-9, atol=0)
    # The older Storage stops at the first nan, so it is given none.
    write_storage(
        path, Table("Coordinates", written_table.times, written_table.columns, np.nan_to_num(values), {}, True)
    )
    storage = opensim.Storage(str(path))
    assert (storage.getSize(), storage.isInDegrees(), storage.getName()) == (50, True, "Coordinates")


def test_long_tables_are_read_and_written_quickly(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(20_000, 50))
    path = tmp_path / "long.sto"
    began = time.process_time()
    write_storage(path, Table("long", np.arange(20_000) / 1000, tuple(f"c{i}" for i in range(50)), values))
    middle = time.process_time()
    found = read_storage(path)
    took = time.process_time() - middle
    np.testing.assert_allclose(found.data, values, rtol=1e-9)
    # A Python loop over the million cells takes several times as long.
    assert took < 3.0, f"{took:.2f} s"
    assert middle - began < 3.0
