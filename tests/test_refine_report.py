"""What `motorque refine` writes beside the refined file: standard deviations, the summary and the page."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.cli import main
from motorque.files.motion_files import write_motion
from motorque.files.osim_write import write_osim
from motorque.files.smpl_poses import write_poses
from motorque.files.storage import read_storage
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.fitting.refine_motion import refine_motion
from motorque.journal import Journal
from motorque.series import Motion
from motorque.signals.differences import central_differences
from motorque.skeleton.fullbody import fullbody
from motorque.studies.noise.models import White, noisy_rotations
from motorque.synthesis.smpl_walk import smpl_walk
from motorque.synthesis.stride import fit_stride
from motorque.uncertainty.coordinate_bands import bands_of_refined, forces_of

RATE = 60.0
SKELETON = fullbody()
FREE = list(SKELETON.free_coordinates)


@pytest.fixture(scope="module")
def walk() -> Motion:
    times = np.arange(150) / RATE
    values = fit_stride(SKELETON, iterations=4).at(SKELETON, 0.35 + times / 1.04)
    values = SKELETON.couple(torch.as_tensor(values)).numpy()
    return Motion(times, values, SKELETON.coordinate_names)


def spoiled(motion: Motion, seed: int) -> Motion:
    """With 2 degrees and 5 mm of noise on free coordinates."""
    noise = np.random.default_rng(seed).normal(size=motion.values.shape)
    size = np.array([np.radians(2) if c.rotational else 0.005 for c in SKELETON.coordinates])
    values = motion.values.copy()
    values[:, FREE] += (size * noise)[:, FREE]
    return dataclasses.replace(motion, values=SKELETON.couple(torch.as_tensor(values)).numpy())


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, object] = json.loads(found[1])
    return data


def checked_page(path: Path) -> str:
    """A page that is whole, asks the network for nothing and has no script but its own."""
    page = path.read_text()
    assert page.startswith("<!doctype html>") and page.rstrip().endswith("</html>")
    assert "default-src 'none'" in page
    without_plotly = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", page, flags=re.S)
    assert not re.search(r"""(src|href)=["']?https?:""", without_plotly)
    return page


@pytest.fixture(scope="module")
def of_poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("poses")
    clean = smpl_walk(frames=60)
    rotations, _ = noisy_rotations(clean, White().draw(clean, 1, seed=3))
    given = folder / "a <b> walk.npz"
    write_poses(given, dataclasses.replace(clean, rotations=rotations[0]))
    assert main(["refine", str(given), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_poses_get_standard_deviations_of_their_coordinates(of_poses: Path) -> None:
    values, std = read_storage(of_poses / "kinematics.mot"), read_storage(of_poses / "kinematics_std.sto")
    assert std.columns == values.columns and std.in_degrees and len(std.columns) == 75
    assert np.array_equal(std.times, values.times) and std.data.min() >= 0
    turning = [n for n, name in enumerate(std.columns) if "_t" not in name[-3:]]
    # Noise of 0.05 rad is 2.9 degrees, and smoothing leaves some of it
    assert 0.2 < np.median(std.data[:, turning]) < 2.0


def test_the_summary_says_what_was_found_and_how(of_poses: Path) -> None:
    summary = json.loads((of_poses / "summary.json").read_text())
    assert {"method", "noise", "torques", "settings", "versions", "command", "inputs", "notices", "bands"} <= set(
        summary
    )
    assert {"share_new_in_every_frame", "axis_in_world", "along_over_across_axis"} <= set(summary["noise"])
    torques = summary["torques"]
    assert torques["rms_after"] < 0.2 * torques["rms_before"]
    assert torques["roughness_after_per_s2"] < 0.05 * torques["roughness_before_per_s2"]
    assert set(torques["by_joint"]) == {*summary["noise"]["std_rad_by_joint"], "place of the pelvis"}
    assert summary["settings"]["seed"] == 0 and summary["settings"]["bend"] > 0
    assert summary["command"].startswith("motorque refine ")
    assert len(summary["inputs"][0]["sha256"]) == 64 and summary["versions"]["motorque"]
    assert summary["noise_in_words"].startswith("noise of 0.0")


def test_the_page_shows_before_and_after(of_poses: Path) -> None:
    page = checked_page(of_poses / "report.html")
    assert "a &lt;b&gt; walk" in page and "<b> walk" not in page
    for notice in json.loads((of_poses / "summary.json").read_text())["notices"]:
        assert notice["text"].split("<")[0][:40].replace("'", "&#x27;") in page
    plots = data_of(page)["plots"]
    assert isinstance(plots, list) and len(plots) > 30
    for plot in plots:
        before = [c for c in plot["time"] if c.get("faint")]
        after = [c for c in plot["time"] if not c.get("faint")]
        assert len(before) == len(after) >= 1 and all("sd" in c for c in after)
    assert any("span" in plot for plot in plots)


def test_a_motion_gets_the_same(walk: Motion, tmp_path: Path) -> None:
    write_osim(tmp_path / "m.osim", SKELETON)
    write_motion(tmp_path / "walk.mot", spoiled(walk, 0), SKELETON)
    out = tmp_path / "out"
    assert main(["refine", str(tmp_path / "walk.mot"), "--model", str(tmp_path / "m.osim"), "--out", str(out)]) == 0
    assert sorted(x.name for x in out.iterdir()) == ["kinematics_std.sto", "motion.mot", "report.html", "summary.json"]
    std = read_storage(out / "kinematics_std.sto")
    assert std.columns == read_storage(out / "motion.mot").columns and np.isfinite(std.data).all()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["torques"]["rms_after"] < 0.1 * summary["torques"]["rms_before"]
    assert set(summary["torques"]["by_joint"]) == {SKELETON.coordinate_names[c] for c in FREE}
    assert "degrees in the median coordinate" in checked_page(out / "report.html")


def test_bands_of_a_refined_motion_hold_the_truth(walk: Motion) -> None:
    joints = [c for c in FREE if c > 5]
    under = estimate_ground_loads(SKELETON, walk, cutoff=None, journal=Journal())
    truth = forces_of(SKELETON, walk, under)
    angles, torques = [], []
    for seed in range(3):
        found = refine_motion(SKELETON, spoiled(walk, seed))
        loads = estimate_ground_loads(SKELETON, found.motion, cutoff=None, journal=Journal())
        bands = bands_of_refined(SKELETON, found.windows, found.motion, loads=loads)
        off = np.abs(forces_of(SKELETON, found.motion, loads) - truth)
        torques.append((off <= 1.645 * bands.torques)[:, joints])
        angles.append((np.abs(found.motion.values - walk.values) <= 1.645 * bands.angles)[:, FREE])
    # 90 % is meant; three draws of one walk tell it to some per cent
    assert 0.84 < np.mean(angles) < 0.97
    assert 0.84 < np.mean(torques) < 0.97


def test_bands_do_not_depend_on_how_draws_are_split(walk: Motion, monkeypatch: pytest.MonkeyPatch) -> None:
    found = refine_motion(SKELETON, spoiled(walk.between(0, 1), 0))
    whole = bands_of_refined(SKELETON, found.windows, found.motion, loads=None, draws=400)
    again = bands_of_refined(SKELETON, found.windows, found.motion, loads=None, draws=400)
    assert np.array_equal(whole.torques, again.torques)
    monkeypatch.setattr("motorque.uncertainty.coordinate_bands.NUMBERS", 300_000)
    monkeypatch.setattr("motorque.uncertainty.coordinate_bands.BLOCK", 7)
    split = bands_of_refined(SKELETON, found.windows, found.motion, loads=None, draws=400)
    assert np.array_equal(whole.angles, split.angles)
    ratio = split.torques[:, FREE] / whole.torques[:, FREE]
    # 400 draws tell a standard deviation to 3.5 %, two of them differ by 5 %
    assert abs(np.mean(ratio) - 1) < 0.02 and np.std(ratio) < 0.08


def test_central_differences_of_a_parabola_are_exact() -> None:
    times = 0.1 * np.arange(6)
    rate, bend = central_differences((2 - 3 * times + 5 * times**2)[:, None], 0.1)
    assert np.allclose(rate[:, 0], 10 * times - 3, rtol=0, atol=1e-12)
    assert np.allclose(bend, 10, rtol=0, atol=1e-11)
