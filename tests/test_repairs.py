"""Damaged recordings that `analyze` repairs: said in ``summary.json`` and the report, and the same angles come out."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lab_files import TO_LABORATORY, run, write_c3d
from motorque.cli import main
from motorque.files.osim_write import write_osim
from motorque.files.storage import Table, read_storage
from motorque.files.trc import write_trc
from motorque.fitting.side_swap import exchange_sides
from motorque.series import Markers
from motorque.workflows.demo_recording import demo_recording, demo_static

ANGLES = (
    *("pelvis_tilt", "pelvis_list", "pelvis_rotation", "lumbar_extension", "lumbar_bending", "lumbar_rotation"),
    *("hip_flexion_r", "hip_adduction_r", "knee_angle_r", "ankle_angle_r", "arm_flex_r"),
    *("hip_flexion_l", "hip_adduction_l", "knee_angle_l", "ankle_angle_l", "arm_flex_l"),
)
"""What is compared: angles that several markers determine."""

EXACT = 0.05
"""Tolerance in any frame where the repaired data are those of the undamaged recording but for rounding [°]."""
CLOSE = 2.0
"""Tolerance of the median over time where samples are lost [°]."""

Damage = Callable[[Markers], Markers]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The person's own model; most tests use it, because what they test is done before a skeleton is there."""
    path = tmp_path_factory.mktemp("model") / "model.osim"
    write_osim(path, demo_static(duration=0.1)[1].skeleton)
    return path


@pytest.fixture(scope="module")
def walk() -> Markers:
    return demo_recording(duration=2.0, gaps=0)[0]


@pytest.fixture(scope="module")
def undamaged(walk: Markers, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path | None, Table]:
    """The angles of the undamaged recording, with the person's own model and with the built-in skeleton."""
    folder = tmp_path_factory.mktemp("undamaged")
    write_trc(folder / "walk.trc", walk)
    return {which: analyzed(folder, "walk.trc", which)[0] for which in (model, None)}


Undamaged = dict[Path | None, Table]


def analyzed(
    folder: Path, recording: str, model: Path | None, static: Path | None = None
) -> tuple[Table, list[dict[str, str]], str]:
    """The angles, the notices in ``summary.json`` and the text of the report; without a model the built-in skeleton."""
    out = folder / "out"
    given = "".join(f" --{option} {path}" for option, path in (("model", model), ("static", static)) if path)
    assert run(f"--quiet analyze {folder / recording} --mass 66 --sex f --out {out}{given}") == 0
    notices = json.loads((out / "summary.json").read_text())["notices"]
    report = re.sub(r"<[^>]*>", "", (out / "report.html").read_text())
    return read_storage(out / "kinematics.mot"), notices, html.unescape(report)


def check_said(notices: list[dict[str, str]], report: str, kind: str, what: str) -> None:
    told = [notice["text"] for notice in notices if notice["kind"] == kind and re.search(what, notice["text"])]
    assert told, notices
    for text in told:
        assert text in report


def differences(found: Table, undamaged: Table) -> np.ndarray:
    """Angles against the undamaged recording's [°], shape [T, number of angles]."""
    np.testing.assert_allclose(np.diff(found.times), np.diff(undamaged.times), atol=1e-9)
    both = [np.stack([table.column(name) for name in ANGLES], axis=1) for table in (found, undamaged)]
    return np.abs((both[0] - both[1] + 180) % 360 - 180)


def check(
    folder: Path,
    recording: str,
    model: Path | None,
    undamaged: Undamaged,
    what: str,
    *,
    tolerance: float = CLOSE,
    kind: str = "repair",
) -> None:
    """Analyze the recording; its repair is told in both places, and the angles are the undamaged recording's."""
    found, notices, report = analyzed(folder, recording, model)
    check_said(notices, report, kind, what)
    off = differences(found, undamaged[model])
    if tolerance == EXACT:
        assert off.max() < EXACT
    else:
        assert np.median(off, axis=0).max() < tolerance


def on_marker(name: str, change: Callable[[np.ndarray], None]) -> Damage:
    """Change one marker's path, shape [T, 3]."""

    def damage(markers: Markers) -> Markers:
        positions = markers.positions.copy()
        change(positions[:, markers.names.index(name)])
        return Markers(markers.times, positions, markers.names)

    return damage


def test_an_undamaged_recording_is_not_repaired(tmp_path: Path, walk: Markers) -> None:
    write_trc(tmp_path / "walk.trc", walk)
    _, notices, _ = analyzed(tmp_path, "walk.trc", None)
    assert [n for n in notices if n["kind"] in ("repair", "warning")] == []


@pytest.mark.parametrize(("said", "true"), [("mm", "m"), ("m", "mm")])
def test_unit(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged, said: str, true: str) -> None:
    path = tmp_path / "walk.trc"
    write_trc(path, walk, units=true)
    lines = path.read_text().split("\n")
    lines[2] = lines[2].replace(f"\t{true}\t", f"\t{said}\t")
    path.write_text("\n".join(lines))
    check(tmp_path, path.name, model, undamaged, f"the header's unit is {said}, .*; read as {true}$", tolerance=EXACT)


@pytest.mark.parametrize(
    ("rotation", "axis"),
    [
        (TO_LABORATORY, r"\+Z"),
        (np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]), r"\+X"),
        (np.diag([1.0, -1, -1]), "-Y"),
    ],
)
def test_up_axis(
    tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged, rotation: np.ndarray, axis: str
) -> None:
    assert np.linalg.det(rotation) > 0
    write_trc(tmp_path / "walk.trc", Markers(walk.times, walk.positions @ rotation.T, walk.names))
    check(tmp_path, "walk.trc", model, undamaged, f"the recording's up axis is {axis}; turned", tolerance=EXACT)


@pytest.mark.parametrize("screens", [("+X", "+Z"), None], ids=["said", "not said"])
def test_up_axis_of_a_c3d_file(
    tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged, screens: tuple[str, str] | None
) -> None:
    write_c3d(tmp_path / "walk.c3d", walk, screens=screens)
    check(tmp_path, "walk.c3d", model, undamaged, r"the recording's up axis is \+Z; turned", tolerance=EXACT)


def test_axes_of_a_c3d_file_come_first(tmp_path: Path, walk: Markers, model: Path) -> None:
    write_c3d(tmp_path / "walk.c3d", walk, screens=("+X", "+Y"))
    _, notices, report = analyzed(tmp_path, "walk.c3d", model)
    check_said(notices, report, "warning", r"vertical is \+Y, but the markers stand along \+Z; .*give --up=\+z")


def test_heading(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged) -> None:
    about = walk.positions * [-1, 1, -1]
    write_trc(tmp_path / "walk.trc", Markers(walk.times, about, walk.names))
    check(tmp_path, "walk.trc", model, undamaged, "turned about the vertical", tolerance=EXACT)


def test_thirty_percent_of_the_samples_missing_singly(tmp_path: Path, walk: Markers, undamaged: Undamaged) -> None:
    positions = walk.positions.copy()
    positions[np.random.default_rng(3).random(positions.shape[:2]) < 0.3] = np.nan
    write_trc(tmp_path / "walk.trc", Markers(walk.times, positions, walk.names))
    check(tmp_path, "walk.trc", None, undamaged, r"missing samples \((29|30)\.\d %\) of 50 markers filled by splines")


def test_thirty_percent_of_the_samples_missing_in_long_gaps(
    tmp_path: Path, walk: Markers, undamaged: Undamaged
) -> None:
    positions, rng = walk.positions.copy(), np.random.default_rng(4)
    for marker in range(len(walk.names)):
        for start in (rng.integers(0, 70), rng.integers(100, 170)):
            positions[start : start + 30, marker] = np.nan
    assert 0.29 < np.isnan(positions[..., 0]).mean() < 0.31
    write_trc(tmp_path / "walk.trc", Markers(walk.times, positions, walk.names))
    check(tmp_path, "walk.trc", None, undamaged, "3000 samples stay missing in longer gaps", kind="info")


def test_marker_that_freezes(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged) -> None:
    def freeze(path: np.ndarray) -> None:
        path[80:130] = path[80]

    write_trc(tmp_path / "walk.trc", on_marker("RKNE", freeze)(walk))
    check(tmp_path, "walk.trc", model, undamaged, "RKNE stands still from 0.81 to 1.29 s.*49 samples are taken out")


def test_marker_that_jumps(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged) -> None:
    def jump(path: np.ndarray) -> None:
        path[80:130] += [0.1, 0.05, 0.1]

    write_trc(tmp_path / "walk.trc", on_marker("LANK", jump)(walk))
    check(tmp_path, "walk.trc", model, undamaged, "LANK is off by 15 cm from 0.80 to 1.29 s.*50 samples are taken out")


def test_marker_with_spikes(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged) -> None:
    def spike(path: np.ndarray) -> None:
        path[20::40] += 0.3

    write_trc(tmp_path / "walk.trc", on_marker("LANK", spike)(walk))
    check(tmp_path, "walk.trc", model, undamaged, "LANK is off by 52 cm .* 4 times more; 5 samples are taken out")


def test_two_markers_that_exchange_labels(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged) -> None:
    positions = walk.positions.copy()
    pair = [walk.names.index("RANK"), walk.names.index("LANK")]
    positions[100:150, pair] = positions[100:150, pair[::-1]]
    write_trc(tmp_path / "walk.trc", Markers(walk.times, positions, walk.names))
    what = "RANK carry each other's label from 1.00 to 1.49 s; exchanged"
    check(tmp_path, "walk.trc", model, undamaged, what, tolerance=EXACT)


@pytest.mark.parametrize("own", [True, False], ids=["own model", "built-in"])
def test_left_and_right(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged, own: bool) -> None:
    write_trc(tmp_path / "walk.trc", exchange_sides(walk))
    what = (
        r"left and right were exchanged in the recording .*\d\d mm as labelled, [0-9] mm with left and right exchanged"
    )
    check(tmp_path, "walk.trc", model if own else None, undamaged, what, tolerance=EXACT)


@pytest.mark.parametrize("own", [True, False], ids=["own model", "built-in"])
def test_left_and_right_of_the_static_trial(tmp_path: Path, walk: Markers, model: Path, own: bool) -> None:
    """Static trial and recording are judged each on its own: either may be wrong."""
    still = demo_static(duration=0.2)[0]
    write_trc(tmp_path / "walk.trc", walk)
    write_trc(tmp_path / "right.trc", still)
    write_trc(tmp_path / "wrong.trc", exchange_sides(still))
    right, notices, _ = analyzed(tmp_path, "walk.trc", model if own else None, tmp_path / "right.trc")
    assert [n for n in notices if n["kind"] == "repair"] == []
    wrong, notices, report = analyzed(tmp_path, "walk.trc", model if own else None, tmp_path / "wrong.trc")
    check_said(notices, report, "repair", r"left and right were exchanged in the static trial .*\d\d mm as labelled")
    assert differences(wrong, right).max() < EXACT


def test_odd_but_right(tmp_path: Path, walk: Markers, model: Path, undamaged: Undamaged) -> None:
    """Late times, a far origin, Windows line ends, blanks and markup in names: nothing to repair or break."""
    name = "mein Gehvers\u00fcch <img src=x onerror=alert(1)>.trc"
    extra = np.full((len(walk.times), 1, 3), np.nan)
    extra[0] = walk.positions[0, :1]
    positions = np.concatenate([walk.positions, extra], axis=1) + [50, 0, -30]
    names = (*walk.names, "</script><script>alert(1)</script>")
    write_trc(tmp_path / name, Markers(walk.times + 1e5, positions, names))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    out = tmp_path / "out"
    assert (
        main(["--quiet", "analyze", str(tmp_path / name), "--model", str(model), "--mass", "66", "--out", str(out)])
        == 0
    )
    notices = json.loads((out / "summary.json").read_text())["notices"]
    assert [n for n in notices if n["kind"] == "repair"] == []
    assert differences(read_storage(out / "kinematics.mot"), undamaged[model]).max() < EXACT
    report = (out / "report.html").read_text()
    assert "<script>alert" not in report and "<img src=x" not in report
    assert (out / "mine.txt").read_text() == "mine"
