"""Damaged C3D files are refused in one line, before they can take the program with them."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ezc3d
import numpy as np
import pytest

from motorque.errors import FileFormatError
from motorque.files.c3d_structure import check_structure


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound file: 20 frames of 5 points, no analog channels."""
    file = ezc3d.c3d()
    points = np.ones((4, 5, 20))
    points[:3] = np.random.default_rng(0).uniform(100, 1800, (3, 5, 20))
    file["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    file["parameters"]["POINT"]["LABELS"]["value"] = [f"M{i}" for i in range(5)]
    file["data"]["points"] = points
    path = tmp_path_factory.mktemp("c3d") / "whole.c3d"
    file.write(str(path))
    return path.read_bytes()


def records(content: bytes) -> Iterator[tuple[str, int]]:
    """Name and position (of the distance to the next record) of every group and parameter."""
    at = 512 * (content[0] - 1) + 4
    while True:
        length = abs(struct.unpack_from("b", content, at)[0])
        if length == 0:
            return
        name = content[at + 2 : at + 2 + length].decode()
        at += 2 + length
        yield name, at
        distance = struct.unpack_from("<H", content, at)[0]
        if distance == 0:
            return
        at += distance


def changed(content: bytes, at: int, value: int) -> bytes:
    return content[:at] + bytes([value]) + content[at + 1 :]


def refused(folder: Path, content: bytes, message: str) -> None:
    path = folder / "x.c3d"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message) as caught:
        check_structure(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_sound_files_pass(data: Path, tmp_path: Path, whole: bytes) -> None:
    (tmp_path / "whole.c3d").write_bytes(whole)
    files = [tmp_path / "whole.c3d", *sorted((data / "c3d").glob("*.c3d"))]
    assert len(files) == 6
    for path in files:
        check_structure(path)


def test_files_that_are_none_or_cut(tmp_path: Path, whole: bytes) -> None:
    refused(tmp_path, b"", "is empty")
    refused(tmp_path, b"PathFileType\t4\n" * 100, "no C3D file")
    refused(tmp_path, whole[:100], "no C3D file")
    refused(tmp_path, whole[:514], "name no known processor type")
    refused(tmp_path, whole[:-700], "it is cut off")
    with pytest.raises(FileFormatError, match="can't be read"):
        check_structure(tmp_path / "missing.c3d")


def test_every_length_of_a_parameter_is_checked(tmp_path: Path, whole: bytes) -> None:
    at = next(at + 2 for name, at in records(whole) if name == "LABELS" and whole[at + 5] == 5)  # the five markers'
    assert struct.unpack_from("bB", whole, at) == (-1, 2)
    refused(tmp_path, changed(whole, at, 82), r"'LABELS' \(byte \d+\) is damaged: it is of type 82")
    refused(tmp_path, changed(whole, at + 1, 103), "'LABELS' .* it has 103 dimensions")
    refused(tmp_path, changed(whole, at + 1, 0), "'LABELS' .* it is a text without a length")
    refused(tmp_path, changed(whole, at + 3, 250), "'LABELS' .* it is longer than its place")


def test_parameters_without_which_the_reader_would_crash(data: Path, tmp_path: Path) -> None:
    recorded = (data / "c3d" / "Gait.c3d").read_bytes()
    places = {name: at for name, at in records(recorded) if name in ("OFFSET", "TYPE")}
    at = places["OFFSET"]
    refused(tmp_path, changed(recorded, at - len("OFFSET"), ord("Q")), "channels have no ANALOG:OFFSET")
    refused(tmp_path, changed(recorded, places["TYPE"] + 2, 255), "FORCE_PLATFORM:TYPE holds text, not numbers")


def test_a_chain_that_leaves_the_file(tmp_path: Path, whole: bytes) -> None:
    at = dict(records(whole))["LABELS"]
    refused(tmp_path, whole[:at] + b"\xff\xff" + whole[at + 2 :], "run beyond its end|is damaged|is cut off")


def test_no_damage_to_the_parameters_ends_the_program(tmp_path: Path, whole: bytes) -> None:
    """Without the check, ezc3d crashes or reads for minutes on some of these; so they are read in another process."""
    (tmp_path / "whole.c3d").write_bytes(whole)
    script = """
import random, sys
from pathlib import Path
from motorque.errors import MotorqueError
from motorque.files.c3d import read_c3d
from motorque.journal import Journal
whole, path = Path("whole.c3d").read_bytes(), Path("x.c3d")
draw, end = random.Random(4), 512 * (int.from_bytes(whole[16:18], "little") - 1)
refused = 0
for _ in range(400):
    content = bytearray(whole)
    for _ in range(draw.randint(1, 4)):
        content[draw.randrange(end)] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
    path.write_bytes(bytes(content))
    try:
        read_c3d(path, journal=Journal())
    except MotorqueError as error:
        refused += 1
        assert "\\n" not in str(error)
print(refused)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 40 < int(done.stdout) < 400
