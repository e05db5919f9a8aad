"""Error bars and the choice of the filter, as `analyze` gives them to a user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motorque.files.storage import read_storage
from motorque.files.trc import read_trc, write_trc
from motorque.journal import Journal
from motorque.series import Markers
from motorque.workflows.analyze import analyze
from motorque.workflows.demo_recording import demo_recording

PAIRS = (
    ("kinematics.mot", "kinematics_std.sto"),
    ("kinetics.sto", "kinetics_std.sto"),
    ("loads.mot", "loads_std.sto"),
)


def add_noise(path: Path, to: Path, size: float) -> None:
    markers = read_trc(path)
    noise = np.random.default_rng(5).normal(0, size, markers.positions.shape)
    write_trc(to, Markers(markers.times, markers.positions + noise, markers.names))


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the built-in walk, analysed as they are, with 4 mm of noise, and with a cutoff that is given."""
    folder = tmp_path_factory.mktemp("walk")
    write_trc(folder / "walk.trc", demo_recording(duration=2.0)[0])
    add_noise(folder / "walk.trc", folder / "noisy.trc", 0.004)
    analyze([folder / "walk.trc"], folder / "plain", mass=66.0, journal=Journal())
    model = folder / "plain/model.osim"
    analyze([folder / "noisy.trc"], folder / "noise", model=model, journal=Journal())
    analyze([folder / "walk.trc"], folder / "given", model=model, cutoff=8.0, journal=Journal())
    return folder


def summary(folder: Path) -> dict:
    return json.loads((folder / "summary.json").read_text())


@pytest.mark.parametrize(("values", "spreads"), PAIRS)
def test_files_of_error_bars_match_those_of_the_results(walk: Path, values: str, spreads: str) -> None:
    result, bars = read_storage(walk / "plain" / values), read_storage(walk / "plain" / spreads)
    assert bars.columns == result.columns
    assert bars.in_degrees == result.in_degrees
    np.testing.assert_array_equal(bars.times, result.times)
    known = bars.data[np.isfinite(bars.data)]
    assert len(known) > 0.5 * bars.data.size
    assert (known >= 0).all()


def test_more_noise_makes_wider_bars_and_a_lower_cutoff(walk: Path) -> None:
    quiet, noisy = (read_storage(walk / name / "kinetics_std.sto") for name in ("plain", "noise"))
    for column in ("hip_flexion_r_moment", "ankle_angle_l_moment", "lumbar_bending_moment"):
        assert np.nanmedian(noisy.column(column)) > 1.3 * np.nanmedian(quiet.column(column)), column
    chosen = [summary(walk / name)["settings"]["cutoff_hz"] for name in ("plain", "noise")]
    assert chosen[1] < chosen[0]


def test_bars_hold_the_change_that_noise_makes(walk: Path) -> None:
    """What 4 mm of noise changes in angles and torques stays within three standard deviations nearly everywhere."""
    for values, spreads in PAIRS[:2]:
        clean, noisy, bars = (
            read_storage(walk / f) for f in (f"plain/{values}", f"noise/{values}", f"noise/{spreads}")
        )
        known = np.isfinite(bars.data) & (bars.data > 0)
        assert (np.abs(noisy.data - clean.data) <= 3 * bars.data)[known].mean() > 0.95


def test_a_cutoff_that_is_given_is_taken(walk: Path) -> None:
    given, chosen = summary(walk / "given"), summary(walk / "plain")
    assert (given["settings"]["cutoff_hz"], given["settings"]["cutoff"]) == (8.0, "given")
    assert given["uncertainty"]["choice_of_cutoff"] is None
    choice = chosen["uncertainty"]["choice_of_cutoff"]
    assert choice["cutoff_hz"] == chosen["settings"]["cutoff_hz"]
    assert "Hz" in choice["reason"]
    assert any(n["text"] == choice["reason"] for n in chosen["notices"])


def test_the_summary_says_what_is_in_the_bars_and_which_torques_to_trust(walk: Path) -> None:
    found = summary(walk / "plain")["uncertainty"]
    assert (found["method"], found["draws"], found["seed"], found["level"]) == ("monte carlo", 500, 0, 0.9)
    assert {"marker noise", "marker placement", "smoothing"} <= set(found["included"])
    assert {"segment masses", "joint centres", "centre of pressure"} <= set(found["excluded"])
    knee = found["torques"]["knee_angle_r"]
    assert knee["half_width_90_with_model"] > knee["half_width_90"] > 0
    assert knee["trust"] in ("trusted", "with care", "not")
    assert set(knee["rms_standard_deviation_by_source"]) == set(found["included"])
    assert "torques of" in found["sentence"]


def test_the_report_says_it_in_one_sentence_and_draws_the_bands(walk: Path) -> None:
    page = (walk / "plain/report.html").read_text()
    assert page.count(summary(walk / "plain")["uncertainty"]["sentence"]) == 2  # at the top and where it is explained
    assert 'id="certainty"' in page
    assert "band of 90 % error bars" in page
    assert "Why this filter" in page
    assert "Why this filter" not in (walk / "given/report.html").read_text()


def test_a_models_errors_can_be_put_in(walk: Path, tmp_path: Path) -> None:
    model = walk / "plain/model.osim"
    analyze([walk / "walk.trc"], tmp_path / "out", model=model, model_errors=True, cutoff=8.0, journal=Journal())
    found, without = summary(tmp_path / "out")["uncertainty"], summary(walk / "given")["uncertainty"]
    assert {"segment masses", "joint centres", "centre of pressure"} <= set(found["included"]) | set(found["excluded"])
    assert {"segment masses", "joint centres"} <= set(found["included"])
    hip, plain = (x["torques"]["hip_flexion_r"] for x in (found, without))
    assert hip["half_width_90"] == pytest.approx(plain["half_width_90_with_model"], rel=0.1)
    assert hip["half_width_90_with_model"] == pytest.approx(hip["half_width_90"], rel=1e-9)


def test_a_recording_of_a_few_frames_has_results_all_the_same(walk: Path, tmp_path: Path) -> None:
    markers = read_trc(walk / "walk.trc")
    write_trc(tmp_path / "short.trc", Markers(markers.times[:8], markers.positions[:8], markers.names))
    analyze([tmp_path / "short.trc"], tmp_path / "out", model=walk / "plain/model.osim", journal=Journal())
    assert np.isfinite(read_storage(tmp_path / "out/kinetics.sto").data).all()
    assert read_storage(tmp_path / "out/kinetics_std.sto").data.shape[0] == 8
