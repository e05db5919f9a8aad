"""Wrong inputs through the command line: exit 2, one line that says what, where and what to do, nothing written."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from lab_files import run, write_lab
from motorque.files.trc import read_trc, write_trc
from motorque.series import Markers

ANALYZE = "analyze walk.trc --mass 66 --out out"
SCALE = "scale --model model.osim --static static.trc --out new.osim"
IK = "ik --model model.osim --markers walk.trc --out new.mot"
ID = "id --model model.osim --motion ik.mot --out new.sto"
LOADS = "loads --model model.osim --motion ik.mot --out new.mot"
EVERY = (ANALYZE, SCALE, IK, ID, LOADS)

READERS = {
    "walk.trc": (ANALYZE, IK),
    "walk.c3d": ("analyze walk.c3d --out out",),
    "static.trc": (
        "analyze walk.trc --static static.trc --out out",
        "analyze walk.trc --model model.osim --static static.trc --out out",
        SCALE,
    ),
    "model.osim": ("analyze walk.trc --model model.osim --out out", SCALE, IK, ID, LOADS),
    "ik.mot": (ID, LOADS),
    "grf.mot": (
        "analyze walk.trc --model model.osim --loads grf.mot --out out",
        "analyze walk.trc --model model.osim --loads loads.xml --out out",
        f"{ID} --loads grf.mot",
        f"{ID} --loads loads.xml",
    ),
    "loads.xml": ("analyze walk.trc --model model.osim --loads loads.xml --out out", f"{ID} --loads loads.xml"),
    "scale.xml": (f"{SCALE} --setup scale.xml", "scale --model model.osim --setup scale.xml --out new.osim"),
    "tasks.xml": (f"{IK} --tasks tasks.xml", f"{IK} --setup tasks.xml"),
}
"""Which commands read a file of the laboratory."""


def reading(*names: str) -> pytest.MarkDecorator:
    """One test for each of the files and each command that reads it."""
    return pytest.mark.parametrize(("name", "line"), [(name, line) for name in names for line in READERS[name]])


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("laboratory")
    write_lab(folder)
    return folder


@pytest.fixture
def lab(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder with inputs that are right until a test damages one."""
    folder = tmp_path / "lab"
    shutil.copytree(pristine, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def refused(lab: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str, str], None]:
    """Check that a command refuses its input, with its result not there before and with an old result in its place."""

    def check(line: str, what: str) -> None:
        for old in (False, True):
            if old:
                Path("out").mkdir()
                for name in ("out/summary.json", "out/mine.txt", "new.mot", "new.sto", "new.osim"):
                    Path(name).write_text("old")
            before = everything_in(lab)
            assert run(line) == 2, capsys.readouterr()
            out, err = capsys.readouterr()
            assert out == ""
            assert err.startswith("motorque: ") and err.count("\n") == 1 and "Traceback" not in err, err
            assert re.search(what, err), err
            assert len(err) < 400, err
            assert everything_in(lab) == before

    return check


def everything_in(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with its content if it is a file."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def change(name: str, old: str, new: str) -> None:
    """Replace a text that stands in a file."""
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new, 1))


def cut(name: str, share: float) -> None:
    data = Path(name).read_bytes()
    Path(name).write_bytes(data[: int(share * len(data))])


def set_header(name: str, column: int, value: str) -> None:
    """Change a number in the third line of a ``.trc`` file: 2 is NumFrames, 3 is NumMarkers."""
    lines = Path(name).read_text().split("\n")
    cells = lines[2].split("\t")
    cells[column] = value
    lines[2] = "\t".join(cells)
    Path(name).write_text("\n".join(lines))


def name_markers(name: str, new: Callable[[str], str]) -> None:
    lines = Path(name).read_text().split("\n")
    labels = lines[3].split("\t")
    lines[3] = "\t".join(labels[:2] + [new(label) if label else "" for label in labels[2:]])
    Path(name).write_text("\n".join(lines))


def set_text(path: str, value: str) -> None:
    """Change the text of an element of ``model.osim``."""
    tree = etree.parse("model.osim")
    node = tree.find(path)
    assert node is not None
    node.text = value
    tree.write("model.osim")


def keep_rows(name: str, first: int, end: int) -> None:
    """Leave only some rows of a ``.mot`` file, and let its header know."""
    header, table = Path(name).read_text().split("endheader\n")
    labels, *rows = table.strip("\n").split("\n")
    rows = rows[first:end]
    header = re.sub(r"nRows=\d+", f"nRows={len(rows)}", header)
    Path(name).write_text(f"{header}endheader\n" + "\n".join([labels, *rows]) + "\n")


def rename_columns(name: str) -> None:
    header, table = Path(name).read_text().split("endheader\n")
    labels, rows = table.split("\n", 1)
    labels = "\t".join(["time", *(f"q{i}" for i in range(labels.count("\t")))])
    Path(name).write_text(f"{header}endheader\n{labels}\n{rows}")


def test_the_laboratory_is_right_until_damaged(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, line in enumerate(dict.fromkeys(line for lines in READERS.values() for line in lines)):
        assert run(re.sub(r"--out (\S+)", rf"--out {number}-\1", line)) == 0, (line, capsys.readouterr().err)


@reading(*READERS)
@pytest.mark.parametrize("content", [b"", b" \r\n\n"], ids=["empty", "blank"])
def test_empty(refused: Callable[[str, str], None], name: str, line: str, content: bytes) -> None:
    Path(name).write_bytes(content)
    told = r"no C3D file.*give a \.c3d" if name == "walk.c3d" and content else "the file is empty; export it again"
    refused(line, rf"{name}: .*{told}")


CUT = "cut off.* again|may be cut off|correct the line or export|no C3D file.*give"


@reading(*READERS)
@pytest.mark.parametrize("share", [0.015, 0.6, 0.97])
def test_truncated(refused: Callable[[str, str], None], name: str, line: str, share: float) -> None:
    cut(name, share)
    refused(line, rf"{name}.*({CUT})")


@pytest.mark.parametrize("rows", [1, 30])
@reading("walk.trc", "static.trc", "ik.mot", "grf.mot")
def test_truncated_between_two_rows(refused: Callable[[str, str], None], name: str, line: str, rows: int) -> None:
    lines = Path(name).read_text().splitlines(keepends=True)
    Path(name).write_text("".join(lines[:-rows] if rows < 10 else lines[: rows - 10]))
    refused(line, rf"{name}.*the header says \d+ (frames|rows), the file has \d+.*cut off.* copy it again")


@reading("walk.trc", "static.trc")
@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (2, "999", r"the header says 999 frames, the file has \d+ .*copy it again"),
        (2, "9", r"the header says 9 frames, the file has \d+ .*correct NumFrames"),
        (3, "60", r"line 4: the header says 60 markers, \d+ are named; correct NumMarkers"),
        (3, "9", r"line 4: the header says 9 markers, \d+ are named; correct NumMarkers"),
        (2, "0", "line 3: .*must be positive"),
        (3, "-5", "line 3: .*must be positive"),
        (3, "many", "line 3: .*must be positive numbers"),
    ],
)
def test_header_that_lies(
    refused: Callable[[str, str], None], name: str, line: str, column: int, value: str, what: str
) -> None:
    set_header(name, column, value)
    refused(line, rf"{name}.*{what}")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (ANALYZE, r"only 0 of 50 marker names \(RASI_, .*rename them, or give --model"),
        ("analyze walk.trc --model model.osim --out out", r"no marker of the recording \(RASI_, .*rename them or give"),
        (IK, r"no marker of the recording \(RASI_, .* is on the model \(RASI, .*rename them or give another model"),
        (f"{IK} --tasks tasks.xml", r"no marker of the recording \(RASI_, "),
    ],
)
def test_no_marker_of_the_model(refused: Callable[[str, str], None], line: str, what: str) -> None:
    name_markers("walk.trc", lambda name: f"{name}_?")
    refused(line, what.replace("_,", r"_\?,"))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (SCALE, "the model's markers .* and the static trial's .* share no pair .*give a scale setup"),
        (READERS["static.trc"][0], "static trial or recording: no known marker .*name the markers of both"),
        (READERS["static.trc"][1], "the model's markers .* and the static trial's .* share no pair"),
    ],
)
def test_no_marker_of_the_model_in_the_static_trial(refused: Callable[[str, str], None], line: str, what: str) -> None:
    name_markers("static.trc", lambda name: f"{name}_?")
    refused(line, what)


@reading("model.osim")
def test_unknown_joint(refused: Callable[[str, str], None], name: str, line: str) -> None:
    tree = etree.parse(name)
    joint = tree.find(".//*[@name='hip_r']")
    joint.tag = "MysteryJoint"
    tree.write(name)
    refused(line, r"model\.osim: <MysteryJoint name='hip_r'> \(line \d+\): .*not supported; the supported ones are")


@reading("model.osim")
@pytest.mark.parametrize(
    ("frame", "body"),
    [
        (1, "calcn_r"),  # the thigh hangs on its own foot, nothing on ground
        (2, "femur_l"),  # two hips on one thigh
    ],
)
def test_loop(refused: Callable[[str, str], None], name: str, line: str, frame: int, body: str) -> None:
    set_text(f".//*[@name='hip_r']/frames/PhysicalOffsetFrame[{frame}]/socket_parent", f"/bodyset/{body}")
    refused(line, r"model\.osim: .*joint '\w+' closes a loop between '\w+' and '\w+'.*replace one joint")


@reading("model.osim")
def test_missing_parent(refused: Callable[[str, str], None], name: str, line: str) -> None:
    set_text(".//*[@name='hip_r']/frames/PhysicalOffsetFrame[1]/socket_parent", "/bodyset/nobody")
    refused(line, r"model\.osim: <CustomJoint name='hip_r'> \(line \d+\): .*'/bodyset/nobody'.*correct its path")


@reading("model.osim")
@pytest.mark.parametrize(
    ("body", "value", "what"),
    [
        ("toes_r", "0", "body 'toes_r' has a mass of zero at the end of a chain.*give it its mass"),
        ("tibia_r", "-3", r"body 'tibia_r' has a negative mass \(-3 kg\); give it its mass"),
        ("tibia_r", "nan", r"<Body name='tibia_r'> \(line \d+\): <mass> .*not finite; correct it"),
        ("tibia_r", "heavy", r"<Body name='tibia_r'> \(line \d+\): <mass> must hold numbers, got 'heavy'"),
    ],
)
def test_impossible_mass_in_the_model(
    refused: Callable[[str, str], None], name: str, line: str, body: str, value: str, what: str
) -> None:
    set_text(f".//Body[@name='{body}']/mass", value)
    refused(line, rf"model\.osim: .*{what}")


@reading("model.osim", "loads.xml", "scale.xml", "tasks.xml")
@pytest.mark.parametrize("kind", ["billion laughs", "file", "network"])
def test_entity_bomb(refused: Callable[[str, str], None], name: str, line: str, kind: str) -> None:
    names = "abcdefghij"
    laughs = "".join(f'<!ENTITY {n} "{10 * f"&{o};"}">' for o, n in itertools.pairwise(names))
    declared = {
        "billion laughs": f'<!DOCTYPE x [<!ENTITY a "ha">{laughs}]>',
        "file": '<!DOCTYPE x [<!ENTITY j SYSTEM "file:///etc/hostname">]>',
        "network": '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">',
    }[kind]
    change(name, "?>", f"?>{declared}")
    change(name, "</OpenSimDocument>", "&j;</OpenSimDocument>")
    refused(line, rf"{name}: declares a document type or entities.*remove the <!DOCTYPE")


@reading("ik.mot")
@pytest.mark.parametrize("other", ["another model's", "forces"])
def test_motion_of_another_model(refused: Callable[[str, str], None], name: str, line: str, other: str) -> None:
    if other == "forces":
        shutil.copy("grf.mot", name)
    else:
        rename_columns(name)
    refused(line, r"ik\.mot: none of its columns \(.*is a coordinate of .*give a motion of this model")


@reading("grf.mot")
@pytest.mark.parametrize("other", ["unknown columns", "angles"])
def test_loads_that_are_none(refused: Callable[[str, str], None], name: str, line: str, other: str) -> None:
    if other == "angles":
        shutil.copy("ik.mot", name)
    else:
        rename_columns(name)
    refused(line, r"grf\.mot: no ground force columns; they are|loads\.xml: force r needs three columns of grf\.mot")


@reading("grf.mot")
@pytest.mark.parametrize(("first", "end"), [(0, 20), (20, 51)], ids=["end early", "begin late"])
def test_loads_that_do_not_cover_the_motion(
    refused: Callable[[str, str], None], name: str, line: str, first: int, end: int
) -> None:
    keep_rows(name, first, end)
    span = f"{first / 100:g} to {(end - 1) / 100:g}"
    file = "loads.xml" if "loads.xml" in line else name
    refused(line, rf"{file}: the loads run from {span} s but the motion from 0 to 0\.5 s; cut the motion to {span} s")


@pytest.mark.parametrize("line", [ANALYZE, SCALE, LOADS])
@pytest.mark.parametrize("mass", ["-66", "0", "66000"])
def test_impossible_mass_of_the_person(refused: Callable[[str, str], None], line: str, mass: str) -> None:
    refused(f"{line.replace('--mass 66 ', '')} --mass {mass}", f"--mass: {mass} is no body mass; give kilograms")


def test_swapped_sides_are_refused_by_ik(refused: Callable[[str, str], None]) -> None:
    name_markers("walk.trc", lambda name: {"R": "L", "L": "R"}.get(name[0], name[0]) + name[1:])
    evidence = r"marker error \d+ mm as labelled, [0-9] mm with left and right exchanged"
    refused(IK, rf"walk\.trc: left and right seem exchanged \({evidence}\); exchange the labels")


@pytest.fixture
def closed(pristine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which this process may not write, in the working folder with the inputs; root gives up its rights."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    shutil.copytree(pristine, folder, dirs_exist_ok=True)
    folder.chmod(0o777)
    (folder / "closed").mkdir()
    (folder / "closed").chmod(0o555)
    monkeypatch.chdir(folder)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield folder / "closed"
    finally:
        if was_root:
            os.seteuid(0)
        monkeypatch.undo()
        (folder / "closed").chmod(0o755)
        shutil.rmtree(folder)


@pytest.mark.parametrize("line", [*EVERY, f"{IK} --errors"])
@pytest.mark.parametrize("below", ["closed", "closed/new/deep"])
def test_path_without_permission(closed: Path, capsys: pytest.CaptureFixture[str], line: str, below: str) -> None:
    line = f"{line} {below}/err.sto" if line.endswith("--errors") else line.replace("--out ", f"--out {below}/")
    before = everything_in(closed.parent)
    assert run(line) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert re.search(rf"^motorque: {below}/\S+: cannot be written: no permission", err), err
    assert everything_in(closed.parent) == before


@pytest.mark.parametrize("line", EVERY)
def test_path_below_a_file(refused: Callable[[str, str], None], line: str) -> None:
    Path("file").write_text("mine")
    refused(line.replace("--out ", "--out file/"), r"file/\S+: cannot be written: a part of the path is a file")


@contextlib.contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow over ``size`` bytes: a disk that fills up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("line", [*EVERY, f"{IK} --errors errors.sto"])
def test_disk_that_fills_up(refused: Callable[[str, str], None], line: str) -> None:
    with room_for(1500):
        refused(line, r"^motorque: (out|new|errors)\S*: cannot be written: .*choose another place")


@pytest.mark.parametrize("line", [*EVERY, f"{IK} --errors errors.sto"])
def test_full_disk_that_says_so_at_the_end(
    refused: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    refused(line, r"^motorque: (out|new|errors)\S*: cannot be written: the disk is full; make room")


def test_too_few_frames(refused: Callable[[str, str], None]) -> None:
    refused(f"{ANALYZE} --start 0.1 --end 0.14", r"walk\.trc: 5 frames are too few.* need 6; give a longer")


def move_markers(factor: float, offset: float) -> None:
    markers = read_trc(Path("walk.trc"))
    write_trc(Path("walk.trc"), Markers(markers.times, factor * markers.positions + offset, markers.names))


@pytest.mark.parametrize("line", READERS["walk.trc"])
@pytest.mark.parametrize("factor", [0.0, 1e7])
def test_markers_of_no_person(refused: Callable[[str, str], None], line: str, factor: float) -> None:
    move_markers(factor, 0.0)
    refused(
        line, r"walk\.trc: the markers span \S+ m read in mm and \S+ m read in m, .*export it again, or give --units"
    )


@pytest.mark.parametrize("line", READERS["walk.trc"])
def test_person_out_of_reach(refused: Callable[[str, str], None], line: str) -> None:
    """The pelvis can go 100 m far from the origin."""
    move_markers(1.0, 300.0)
    refused(line, r"walk\.trc: the skeleton stays \d+ mm .* away from the markers; check their names")
