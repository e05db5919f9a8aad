"""What the report owes its reader in words: whose the bands are, what is drawn, left out, or doubtful."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest

from motorque.files.trc import write_trc
from motorque.fitting.marker_quality import fill_gaps
from motorque.report import write_report
from motorque.series import Kinetics, Markers
from motorque.workflows.trial_loads import report_missing_support
from report_case import busy_case, still_case, walk_case
from test_report import Page, strict


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(busy_case(4.0), folder)
    return folder


def part(text: str, name: str) -> str:
    """One section of the page."""
    return text[text.index(f'<section id="{name}"') :].split("</section>")[0]


def test_bands_say_whose_they_are(report: Path) -> None:
    """Children and adolescents for angles, torques and power; rounded, interpolated points of adults for forces."""
    text = (report / "report.html").read_text(encoding="utf-8")
    for section, whose in (("angles", "4 to 17 years"), ("power", "4 to 17 years"), ("forces", "adults")):
        shown = part(text, section)
        legend = shown[shown.index('class="n"') :].split("</span>")[0]
        assert whose in legend and "normative" in legend
        source = shown[shown.index("Normative band") :]
        assert whose in source
        if section == "forces":
            assert "rounded" in source and "interpolated" in source and "children" not in legend + source
        else:
            assert "children and adolescents" in legend and "children and adolescents" in source


def test_the_readme_says_what_markers_trc_holds(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith("| `markers.trc` |"))
    write_trc(tmp_path / "x.trc", Markers(np.arange(2) / 100.0, np.zeros((2, 1, 3)), ("a",)))
    unit = (tmp_path / "x.trc").read_text().splitlines()[2].split("\t")[4]
    assert {"mm": "millimetres", "m": "metres"}[unit] in row.replace(",", "").split()
    assert f"{inspect.signature(fill_gaps).parameters['longest'].default:g} s filled" in row


def test_work_over_frames_that_the_loads_do_not_explain_says_so(tmp_path: Path) -> None:
    case = busy_case(4.0)
    assert case.kinetics is not None
    write_report(case, tmp_path)
    assert "unexplained" not in part((tmp_path / "report.html").read_text(encoding="utf-8"), "power")
    assert strict((tmp_path / "summary.json").read_text())["results"]["doubtful_torques"] == []
    values = case.kinetics.values.copy()
    values[100:150, case.kinetics.names.index("pelvis_ty")] = 0.5 * case.weight
    case = dataclasses.replace(case, kinetics=Kinetics(case.times, values, case.kinetics.names))
    report_missing_support(case.kinetics, case.skeleton, case.journal)
    (warning,) = case.journal.notices
    write_report(case, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    for name in ("power", "torques"):
        assert "includes frames" in part(text, name) and "from 1.00 to 1.49 s" in part(text, name)
    assert strict((tmp_path / "summary.json").read_text())["results"]["doubtful_torques"] == [warning.text]


def test_the_viewer_says_what_is_drawn_for_orientation_only(report: Path) -> None:
    viewer = part((report / "report.html").read_text(encoding="utf-8"), "overview")
    caption = viewer[viewer.index('<p class="caption">') :].split("</p>")[0]
    for word in ("rib cage", "skull", "pelvis", "orientation only"):
        assert word in caption.lower()
    assert "frames are shown" not in caption  # 4 s at 100 Hz are played whole


def test_a_thinned_page_says_so_where_it_is_thinned(tmp_path: Path, report: Path) -> None:
    case = still_case(np.arange(9000) / 200.0)
    write_report(case, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    data = Page(text).data()
    frames = data["scene"]["times"]["shape"][0]
    assert frames < len(case.times)
    assert f"{frames} of 9000 frames are shown" in part(text, "overview")
    drawn = data["times"]["shape"][0]
    for name in ("angles", "torques", "quality"):
        assert f"{drawn} of 9000 frames are drawn" in part(text, name)
    assert "frames are drawn" not in (report / "report.html").read_text(encoding="utf-8")


def test_many_strides_are_drawn_as_their_mean_and_that_is_said(tmp_path: Path, report: Path) -> None:
    write_report(walk_case(30.0, rate=60.0, plates=("r", "l")), tmp_path)
    assert "more than 24 strides" in part((tmp_path / "report.html").read_text(encoding="utf-8"), "angles")
    assert "more than 24 strides" not in (report / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(("slope", "there"), [(0.0, True), (0.02, True), (0.3, False), (-0.3, False)])
def test_bands_are_for_level_ground_only(tmp_path: Path, slope: float, there: bool) -> None:
    case = walk_case(5.0, heading=1.0, plates=("r", "l"))
    position = case.body_position.copy()
    position[..., 1] += slope * np.linalg.norm(position[..., [0, 2]] - position[:1, :1, [0, 2]], axis=-1)
    write_report(dataclasses.replace(case, body_position=position), tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    gait = strict((tmp_path / "summary.json").read_text())["results"]["gait"]
    assert gait["kind"] == "walking"
    assert any("norm" in plot for plot in page.data()["plots"]) is there
    assert any("no normative band" in note for note in gait["notes"]) is not there
    assert any(f"{'up' if slope > 0 else 'down'}hill" in note for note in gait["notes"]) is not there
