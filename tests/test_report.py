"""The report: its numbers against numpy, its files against their formats, and what comes from files kept harmless."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError, OutputError
from motorque.journal import Journal
from motorque.report import write_report
from motorque.report.labels import actors, labels, split_side
from motorque.report.power import joint_powers, work
from motorque.report.quality import MARKER_RMS_LIMIT, checks, marker_quality, residuals
from motorque.report.results import results
from motorque.report.scene import packed_points, scene, viewer_frames
from motorque.report.tables import Table
from motorque.series import Kinetics, Load, Loads, Markers, Motion
from motorque.skeleton.fullbody import fullbody
from report_case import STRIDE, busy_case, still_case, walk_case


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_report(busy_case(4.0), folder)
    return folder


def strict(text: str) -> dict:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Page(html.parser.HTMLParser):
    """What a browser would see: elements, their attributes, and the text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self.raw = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self.raw = ""

    def handle_data(self, data: str) -> None:
        (self.scripts if self.raw == "script" else self.words).append(data)

    def data(self) -> dict:
        k = [i for i, (tag, _) in enumerate(self.elements) if tag == "script"]
        ids = [self.elements[i][1].get("id") for i in k]
        return strict(self.scripts[ids.index("data")])


# --- files


def test_everything_is_written(report: Path) -> None:
    assert {p.name for p in report.iterdir()} == {"report.html", "summary.json", "tables"}
    names = {p.name for p in (report / "tables").iterdir()}
    assert names == {
        f"{n}.csv"
        for n in (
            "range_of_motion", "gait_events", "gait_measures", "torque_peaks", "joint_work", "joint_power",
            "marker_errors", "residuals", "scale_factors", "error_bars", "angles_gait_cycle", "torques_gait_cycle",
            "power_gait_cycle", "forces_gait_cycle",
        )
    }  # fmt: skip


def test_the_page_asks_the_network_for_nothing(report: Path) -> None:
    page = Page((report / "report.html").read_text(encoding="utf-8"))
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    policy = next(a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv"))
    assert policy is not None and "default-src 'none'" in policy and "http" not in policy
    own = (Path(__file__).parents[1] / "src/motorque/report/assets").glob("*")
    assert not any("http" in asset.read_text(encoding="utf-8") for asset in own)


def test_every_plot_has_a_place_and_a_sign_convention(report: Path) -> None:
    page = Page((report / "report.html").read_text(encoding="utf-8"))
    data = page.data()
    places = [int(a["data-plot"] or -1) for t, a in page.elements if t == "div" and a.get("class") == "chart"]
    assert places == list(range(len(data["plots"]))) and len(places) > 40
    text = " ".join(page.words)
    for words in ("+ flexors · − extensors", "+ dorsiflexion · − plantarflexion", "+ generation · − absorption"):
        assert words in text


def test_names_from_files_cannot_break_out(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028"
    case = still_case(np.arange(50) / 100.0)
    assert case.markers is not None
    names = (evil, *case.marker_names[1:])
    journal = Journal()
    journal.warn(f"marker {evil} is odd", about=evil)
    case = dataclasses.replace(
        case,
        title=evil,
        command=evil,
        settings={evil: evil},
        marker_names=names,
        markers=Markers(case.times, case.markers.positions, names),
        journal=journal,
    )
    write_report(case, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not [t for t, _ in page.elements if t == "img"]
    assert len([t for t, _ in page.elements if t == "script"]) == 4
    assert page.data()["scene"]["measured"]["names"][0] == evil
    assert strict((tmp_path / "summary.json").read_text(encoding="utf-8"))["title"] == evil


def test_a_spreadsheet_runs_no_formula() -> None:
    text = Table("t", ("name", "value"), [["=1+1", -1.5], ["@x", None], ["a,b", float("nan")]]).csv()
    assert text == "name,value\r\n'=1+1,-1.5\r\n'@x,\r\n\"a,b\",\r\n"


def test_an_empty_text_is_an_empty_cell() -> None:
    assert Table("t", ("side", "value"), [["", 1]]).csv() == "side,value\r\n,1\r\n"


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("mine")
    with pytest.raises(OutputError, match="file"):
        write_report(still_case(np.arange(10) / 100.0), place)
    assert place.read_text() == "mine" and list(tmp_path.iterdir()) == [place]


def test_ten_seconds_are_small_and_quick(tmp_path: Path) -> None:
    case = busy_case(10.0)
    write_report(case, tmp_path)
    start = time.process_time()
    write_report(case, tmp_path)
    assert time.process_time() - start < 1.5
    assert (tmp_path / "report.html").stat().st_size < 8e6


def test_a_long_recording_is_thinned_on_the_page_only(tmp_path: Path) -> None:
    times = np.arange(24000) / 200.0
    case = still_case(times)
    write_report(case, tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 14e6
    frames = viewer_frames(times, 200)
    assert frames[0] == 0 and frames[-1] == len(times) - 1 and len(frames) == 3000
    assert len(viewer_frames(np.arange(2001) / 1000.0, 100)) == 251  # 2 s at 125 Hz
    assert len(rows(tmp_path / "tables" / "joint_power.csv")) == len(times)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_motion_alone_makes_a_report(tmp_path: Path, frames: int) -> None:
    case = still_case(np.arange(max(frames, 2)) / 100.0)
    arrays = ("velocity", "acceleration", "body_rotation", "body_position", "center_of_mass")
    case = dataclasses.replace(
        case,
        motion=Motion(case.times[:frames], case.motion.values[:frames], case.motion.names),
        **{name: getattr(case, name)[:frames] for name in arrays},
        **{"markers": None, "model_markers": None, "marker_errors": None, "marker_names": (), "kinetics": None},
    )
    bare = dataclasses.replace(case, scales=None, inputs=())
    write_report(bare, tmp_path)
    found = strict((tmp_path / "summary.json").read_text())
    assert found["results"]["marker_error"] is None and found["results"]["residuals"] is None and found["loads"] is None


def test_shapes_are_checked() -> None:
    case = still_case(np.arange(10) / 100.0)
    with pytest.raises(DataError, match=r"velocity must have the shape \[10, 35\], got \[9, 35\]"):
        dataclasses.replace(case, velocity=case.velocity[:-1])


# --- numbers


def test_summary_and_tables_tell_what_numpy_tells(report: Path) -> None:
    case = busy_case(4.0)
    assert case.kinetics is not None
    found = strict((report / "summary.json").read_text(encoding="utf-8"))
    knee = np.degrees(case.motion.column("knee_angle_r"))
    entry = found["results"]["range_of_motion"]["knee_angle_r"]
    assert (entry["minimum"], entry["maximum"]) == pytest.approx((knee.min(), knee.max()))
    table = {r["coordinate"]: r for r in rows(report / "tables" / "range_of_motion.csv")}
    assert float(table["knee_angle_r"]["range"]) == pytest.approx(np.ptp(knee), rel=1e-5)
    torque = case.kinetics.column("hip_flexion_l")
    peak = {r["coordinate"]: r for r in rows(report / "tables" / "torque_peaks.csv")}["hip_flexion_l"]
    assert float(peak["maximum [N·m/kg]"]) == pytest.approx(torque.max() / 70.0, rel=1e-5)
    assert found["results"]["marker_error"]["rms_m"] == pytest.approx(0.005)
    assert found["inputs"] == [{"path": "walk.trc", "role": "recording", "sha256": "0" * 64}]
    assert found["results"]["ground_force_peaks_percent_bw"]["vertical_r"] == pytest.approx(110.0)
    cycle = rows(report / "tables" / "angles_gait_cycle.csv")
    assert [float(r["gait cycle [%]"]) for r in cycle] == list(range(101))
    # Every stride repeats, so the spread is what one frame of doubt about the heel strike makes of it.
    assert max(float(r["knee_angle_r sd [°]"]) for r in cycle) < np.abs(np.gradient(knee)).max()
    assert np.ptp([float(r["knee_angle_r mean [°]"]) for r in cycle]) == pytest.approx(np.ptp(knee), rel=0.01)


def test_a_number_that_is_none_is_null(tmp_path: Path) -> None:
    case = still_case(np.arange(20) / 100.0)
    assert case.marker_errors is not None
    errors = case.marker_errors.copy()
    errors[:, 0] = np.nan  # a marker that was never seen
    write_report(dataclasses.replace(case, marker_errors=errors, settings={"x": np.inf, "y": (1, 2)}), tmp_path)
    found = strict((tmp_path / "summary.json").read_text())
    assert found["settings"] == {"x": None, "y": [1, 2]}
    assert found["results"]["marker_error"]["rms_per_marker_m"][case.marker_names[0]] is None


def test_the_markers_of_the_worst_rms_and_of_the_largest_error_are_named(tmp_path: Path) -> None:
    case = still_case(np.arange(100) / 100.0)
    assert case.marker_errors is not None
    errors = case.marker_errors.copy()
    errors[:, 5], errors[60, 3] = 0.02, 0.05  # one marker always off, another one once
    write_report(dataclasses.replace(case, marker_errors=errors), tmp_path)
    found = strict((tmp_path / "summary.json").read_text())["results"]["marker_error"]
    assert (found["worst_rms_marker"], found["worst_rms_m"]) == (case.marker_names[5], pytest.approx(0.02))
    assert (found["largest_marker"], found["max_m"]) == (case.marker_names[3], pytest.approx(0.05))
    assert found["largest_time_s"] == pytest.approx(0.6)
    assert "worst" not in found


def test_power_is_torque_times_speed_added_over_the_joint() -> None:
    case = busy_case(3.0)
    assert case.kinetics is not None
    powers = {(p.joint, p.side): p for p in joint_powers(case, labels(case.skeleton))}
    names = case.motion.names
    for joint, members in (
        ("hip", ("hip_flexion_r", "hip_adduction_r", "hip_rotation_r")),
        ("knee", ("knee_angle_r", "knee_angle_r_beta")),  # the patella is driven by the knee
    ):
        truth = sum(case.kinetics.column(n) * case.velocity[:, names.index(n)] for n in members) / 70.0
        assert powers[joint, "r"].power == pytest.approx(truth)
    assert not any(joint == "pelvis" for joint, _ in powers)


def test_work_of_a_sine() -> None:
    times = np.linspace(0.0, 2.0, 2001)
    positive, negative = work(times, np.sin(np.pi * times) * 3.0)
    assert positive == pytest.approx(6.0 / np.pi, rel=1e-5) and negative == pytest.approx(-6.0 / np.pi, rel=1e-5)
    # A line through zero between two samples is split there: two triangles.
    assert work(np.array([0.0, 1.0]), np.array([1.0, -3.0])) == pytest.approx((0.125, -1.125))
    assert work(np.array([0.0, 1.0, 2.0]), np.array([np.nan, 2.0, 2.0])) == pytest.approx((3.0, 0.0))


def test_residuals_against_their_limits() -> None:
    case = walk_case(3.0, plates=("r", "l"))
    assert case.kinetics is not None and case.loads is not None
    values = case.kinetics.values.copy()
    names = case.kinetics.names
    values[:, names.index("pelvis_tx")], values[:, names.index("pelvis_ty")] = 30.0, 40.0
    values[7, names.index("pelvis_list")] = 20.0
    case = dataclasses.replace(case, kinetics=Kinetics(case.times, values, names))
    found = residuals(case, labels(case.skeleton))
    assert found is not None
    assert found.force == pytest.approx(50.0)
    assert found.peak_load == pytest.approx(2 * 1.1 * case.weight)  # double support
    assert found.force_limit == pytest.approx(0.05 * 2.2 * case.weight)
    assert found.moment_limit == pytest.approx(0.01 * 0.95 * 2.2 * case.weight)
    verdicts = {c.name: c.verdict for c in checks(marker_quality(case), found, case.times)}
    assert verdicts["Residual force, peak"] == "good"
    assert verdicts["Residual moment, peak"] == "fair"  # 20 N·m of 14.3
    assert verdicts["Marker error, RMS"] == "good"


def test_marker_errors_are_ranked_and_gaps_left_out() -> None:
    case = still_case(np.arange(100) / 100.0)
    assert case.marker_errors is not None
    errors = case.marker_errors.copy()
    errors[:50, 3], errors[60, 3] = np.nan, 0.05
    errors[:, 5] = 2 * MARKER_RMS_LIMIT
    quality = marker_quality(dataclasses.replace(case, marker_errors=errors))
    assert quality is not None
    assert quality.names[:2] == (case.marker_names[5], case.marker_names[3])
    assert quality.seen[1] == 0.5 and quality.worst_time[1] == pytest.approx(0.6)
    assert quality.total_max == 0.05
    assert quality.total_rms == pytest.approx(np.sqrt(np.nanmean(errors**2)))


def test_ground_forces_follow_the_direction_of_walking() -> None:
    case = walk_case(4.0, heading=np.pi / 2, plates=("r", "l"))  # towards +Z
    assert case.loads is not None
    pushed = tuple(
        dataclasses.replace(load, force=load.force + np.array([0.02, 0.0, 0.1]) * case.weight)
        for load in case.loads.loads
    )
    found = results(dataclasses.replace(case, loads=Loads(case.times, pushed)))
    curves = {c.name: c.values for c in found.curves["forces"]}
    assert curves["forward_r"] == pytest.approx(10.0, abs=0.1) and curves["forward_l"] == pytest.approx(10.0, abs=0.1)
    # Walking towards +Z the right-hand side is -X: a push towards +X goes to the left, the midline for the right foot.
    assert curves["medial_r"] == pytest.approx(2.0, abs=0.1) and curves["medial_l"] == pytest.approx(-2.0, abs=0.1)


def test_a_load_that_is_on_no_foot_is_shown_by_name() -> None:
    case = still_case(np.arange(50) / 100.0)
    force = np.tile([0.0, 0.5 * case.weight, 0.0], (50, 1))
    chair = Loads(case.times, (Load("chair", "pelvis", force, np.zeros((50, 3)), np.zeros((50, 3))),))
    found = results(dataclasses.replace(case, loads=chair, loads_measured=True))
    curve = next(c for c in found.curves["forces"] if c.name == "vertical_chair")
    assert "pelvis" in curve.title and curve.values == pytest.approx(50.0)


# --- words


def test_signs_of_the_built_in_skeleton() -> None:
    found = labels(fullbody())
    for side in ("r", "l"):
        assert (found[f"hip_flexion_{side}"].positive, found[f"hip_flexion_{side}"].negative) == (
            "flexion",
            "extension",
        )
        assert found[f"hip_adduction_{side}"].positive == "adduction"
        assert found[f"hip_rotation_{side}"].positive == "internal rotation"
        assert found[f"knee_angle_{side}"].positive == "flexion"
        assert found[f"ankle_angle_{side}"].positive == "dorsiflexion"
        assert found[f"subtalar_angle_{side}"].positive == "inversion"
        assert found[f"elbow_flex_{side}"].positive == "flexion"
        assert found[f"pro_sup_{side}"].positive == "pronation"
    assert found["pelvis_tilt"].positive == "backward tilt" and not found["pelvis_tilt"].mirrored
    assert found["pelvis_list"].positive == "right side down" and found["pelvis_list"].mirrored
    assert found["lumbar_bending"].positive == "bent right"
    assert found["pelvis_tx"].root and found["pelvis_tx"].positive == "forward"
    assert found["knee_angle_r_beta"].follows and found["knee_angle_r_beta"].joint == "knee"
    assert actors("flexion") == "flexors" and actors("") == ""


def test_signs_are_measured_and_not_assumed(data: Path) -> None:
    """gait2354 counts knee flexion as negative; the skeletons after Rajagopal as positive."""
    from motorque.files.osim import load_skeleton

    model = data / "opensim_tests" / "Scale" / "gait2354_simbody.osim"
    found = labels(load_skeleton(model))
    assert (found["knee_angle_r"].positive, found["knee_angle_r"].negative) == ("extension", "flexion")
    assert found["hip_flexion_l"].positive == "flexion" and found["ankle_angle_l"].positive == "dorsiflexion"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("knee_angle_r", ("knee_angle", "r")),
        ("knee_angle_l_beta", ("knee_angle_beta", "l")),
        ("pelvis_tx", ("pelvis_tx", "")),
    ],
)
def test_sides(name: str, expected: tuple[str, str]) -> None:
    assert split_side(name) == expected


# --- the 3D scene


def test_points_survive_their_packing() -> None:
    import base64

    rng = np.random.default_rng(0)
    points = rng.uniform(-5, 5, (40, 7, 3))
    points[3, 2] = np.nan
    packed = packed_points(points)
    grid = np.frombuffer(base64.b64decode(packed["i16"]), dtype="<i2").reshape(packed["shape"])
    back = np.where(grid == -32768, np.nan, grid * np.array(packed["step"]) + np.array(packed["offset"]))
    assert np.nanmax(np.abs(back - points)) < 1e-4
    assert np.isnan(back[3, 2]).all() and np.isfinite(np.delete(back, 3, 0)).all()


def test_bones_join_the_joint_centres() -> None:
    case = still_case(np.arange(3) / 100.0)
    drawn = scene(case)
    skeleton = case.skeleton
    femur, tibia = skeleton.body_names.index("femur_r"), skeleton.body_names.index("tibia_r")
    assert any(b["a"] == femur and b["b"] == tibia and b["side"] == "r" for b in drawn["bones"])
    assert {"hip_r", "hip_l", "lumbar", "trunk", "neck", "head"} <= set(drawn["figure"])
    patella = skeleton.body_names.index("patella_r")
    assert not any(patella in (b["a"], b["b"]) for b in drawn["bones"])


def test_midline_curves_are_turned_to_the_left_view() -> None:
    case = walk_case(5.0)
    values = case.motion.values.copy()
    column = case.motion.names.index("pelvis_list")
    values[:, column] = 0.1 * np.sin(2 * np.pi * (case.times - 0.25) / STRIDE)
    case = dataclasses.replace(case, motion=dataclasses.replace(case.motion, values=values))
    found = {(c.curve.name, c.side): c for c in results(case).cycle_curves["angles"]}
    right, left = found["pelvis_list", "r"], found["pelvis_list", "l"]
    assert left.flipped and not right.flipped
    # The pelvis does for the left foot, half a stride later, what it did for the right: mirrored, the curves agree.
    assert left.mean == pytest.approx(right.mean, abs=0.5)
    assert float(np.abs(right.mean).max()) == pytest.approx(np.degrees(0.1), abs=0.1)
    assert torch.get_default_dtype() == torch.float32  # nothing here changes how torch counts elsewhere


def test_bands_follow_the_sign_of_the_skeleton() -> None:
    from motorque.report.norms import norm_for
    from motorque.series.normative_gait import normative

    found = results(walk_case(4.0, plates=("r", "l")))
    knee = next(c for c in found.curves["angles"] if c.name == "knee_angle_r")
    band = norm_for("angles", knee)
    assert band is not None and band.mean == pytest.approx(normative("knee_angle").mean)
    turned = norm_for("angles", dataclasses.replace(knee, positive="extension", negative="flexion"))
    assert turned is not None and turned.mean == pytest.approx(-normative("knee_angle").mean)
    assert norm_for("angles", dataclasses.replace(knee, positive="", negative="")) is None
    torque = norm_for("torques", next(c for c in found.curves["torques"] if c.name == "ankle_angle_l"))
    assert torque is not None and torque.unit == "N·m/kg" and torque.mean.min() < -1.0  # plantarflexors push off
    push = norm_for("forces", next(c for c in found.curves["forces"] if c.name == "forward_r"))
    assert push is not None and push.mean[:25].mean() < 0 < push.mean[40:55].mean()
    elbow = next(c for c in found.curves["angles"] if c.name == "elbow_flex_r")
    assert norm_for("angles", elbow) is None


def test_bands_are_for_walking_only(tmp_path: Path) -> None:
    for stance, there in ((0.62, True), (0.36, False)):
        write_report(walk_case(5.0, stance=stance, plates=("r", "l")), tmp_path)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
        assert any("norm" in plot for plot in page.data()["plots"]) is there
        assert any("Schwartz" in words for words in page.words) is there
