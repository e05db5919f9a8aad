"""The main job from end to end: its files open in OpenSim and agree with each other; the file's axes do not matter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.files.motion_files import read_kinetics, read_motion
from motorque.files.osim import read_osim
from motorque.files.storage import read_storage
from motorque.files.trc import read_trc, write_trc
from motorque.journal import Journal
from motorque.series import Markers
from motorque.workflows.analyze import analyze
from motorque.workflows.demo_recording import demo_recording, demo_static
from motorque.workflows.inverse_dynamics import id_step

OUTPUTS = {
    "model.osim",
    "markers.trc",
    "kinematics.mot",
    "loads.mot",
    "kinetics.sto",
    "kinematics_std.sto",
    "kinetics_std.sto",
    "loads_std.sto",
    "summary.json",
    "report.html",
    "tables",
}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds of the built-in walk."""
    folder = tmp_path_factory.mktemp("walk")
    write_trc(folder / "walk.trc", demo_recording(duration=3.0)[0])
    write_trc(folder / "static.trc", demo_static()[0])
    return folder


@pytest.fixture(scope="module")
def analyzed(walk: Path) -> Path:
    """The walk analysed with the built-in skeleton."""
    analyze([walk / "walk.trc"], walk / "out", mass=66.0, journal=Journal())
    return walk / "out"


def test_writes_what_it_promises(analyzed: Path) -> None:
    assert {p.name for p in analyzed.iterdir()} == OUTPUTS
    summary = json.loads((analyzed / "summary.json").read_text())
    assert summary["subject"]["mass_kg"] == 66.0
    assert summary["settings"]["cutoff"] == "chosen"
    assert any("segment scales" in n["text"] for n in summary["notices"])


def test_outputs_open_in_opensim(analyzed: Path, opensim) -> None:
    model = opensim.Model(str(analyzed / "model.osim"))
    state = model.initSystem()
    assert model.getTotalMass(state) == pytest.approx(66.0, rel=1e-9)
    for name in OUTPUTS:
        if not name.endswith((".mot", ".sto")):
            continue
        table = opensim.TimeSeriesTable(str(analyzed / name))
        assert table.getNumRows() == 301
    markers = opensim.MarkerData(str(analyzed / "markers.trc"))
    assert markers.getNumFrames() == 301
    moving = opensim.TimeSeriesTable(str(analyzed / "kinematics.mot"))
    names = {model.getCoordinateSet().get(i).getName() for i in range(model.getCoordinateSet().getSize())}
    assert set(moving.getColumnLabels()) == names


def test_torques_are_those_of_its_own_files(analyzed: Path, tmp_path: Path) -> None:
    """`id` on the written model, motion and loads gives the written torques within half a per cent of the largest.

    Simbody takes the turning of the knee's axes otherwise (see mechanics/simbody_rates.py), which is most of it.
    """
    id_step(
        analyzed / "model.osim",
        analyzed / "kinematics.mot",
        loads=analyzed / "loads.mot",
        out=tmp_path / "id.sto",
        journal=Journal(),
    )
    skeleton = read_osim(analyzed / "model.osim").skeleton
    ours, again = (read_kinetics(p, skeleton) for p in (analyzed / "kinetics.sto", tmp_path / "id.sto"))
    angles = [c.name for c in skeleton.coordinates if c.rotational]
    largest = max(np.abs(ours.column(name)).max() for name in angles)
    for name in angles:
        apart = np.sqrt(np.mean((ours.column(name) - again.column(name)) ** 2))
        assert apart <= 0.005 * largest, name


def test_the_pelvis_carries_little_that_no_force_explains(analyzed: Path) -> None:
    summary = read_storage(analyzed / "kinetics.sto")
    weight = 66.0 * 9.80665
    for axis in "xyz":
        assert np.sqrt(np.mean(summary.column(f"pelvis_t{axis}_force") ** 2)) < 0.02 * weight
    loads = read_storage(analyzed / "loads.mot")
    vertical = sum(loads.column(c) for c in loads.columns if c.endswith("_vy"))
    assert vertical.mean() == pytest.approx(weight, rel=0.03)


@pytest.mark.parametrize(("up", "given"), [("z", None), ("z", "z"), ("-x", None)])
def test_the_files_axes_do_not_matter(up: str, given: str | None, walk: Path, analyzed: Path, tmp_path: Path) -> None:
    from motorque.files.axes import up_rotation

    upright = read_trc(walk / "walk.trc")
    other = Markers(upright.times, upright.positions @ up_rotation(up), upright.names)
    write_trc(tmp_path / "turned.trc", other)
    journal = Journal()
    analyze([tmp_path / "turned.trc"], tmp_path / "out", mass=66.0, up=given, journal=journal)
    assert any(n.kind == "repair" and "up axis" in n.text for n in journal.notices)
    skeleton = read_osim(analyzed / "model.osim").skeleton
    ours, theirs = (read_motion(p / "kinematics.mot", skeleton) for p in (tmp_path / "out", analyzed))
    for name in ("hip_flexion_r", "knee_angle_l", "ankle_angle_r", "pelvis_tilt", "lumbar_bending"):
        assert np.degrees(np.abs(ours.column(name) - theirs.column(name)).max()) < 0.1, name


def test_a_static_trial_and_the_users_model_are_used(walk: Path, analyzed: Path, tmp_path: Path) -> None:
    journal = Journal()
    analyze([walk / "walk.trc"], tmp_path / "a", static=walk / "static.trc", mass=66.0, journal=journal)
    analyze([walk / "walk.trc"], tmp_path / "b", model=tmp_path / "a/model.osim", mass=70.0, journal=journal)
    assert any("taken to be scaled already" in n.text for n in journal.notices)
    first, second = (read_osim(tmp_path / f / "model.osim").skeleton for f in "ab")
    assert second.total_mass() == pytest.approx(70.0, rel=1e-9)
    ours, theirs = (read_motion(tmp_path / f / "kinematics.mot", first) for f in "ab")
    assert np.degrees(np.abs(ours.column("knee_angle_r") - theirs.column("knee_angle_r"))).max() < 1.5


def test_measured_loads_go_to_the_right_feet(data: Path, tmp_path: Path) -> None:
    """Plates whose XML puts them all on one foot are put right, and the torques are those with a bare plate file."""
    folder = data / "opencap_subject4"
    setup = (folder / "setup/walking1_external_forces.xml").read_text()
    (tmp_path / "forces.xml").write_text(setup)
    named = [w for w in setup.replace("<", " ").replace(">", " ").split() if w.endswith("_grf.mot")]
    (tmp_path / named[0].split("/")[-1]).write_bytes((folder / "grf/walking1_grf.mot").read_bytes())
    journal = Journal()
    common = {"model": folder / "models/manually_scaled.osim", "journal": journal}
    analyze([folder / "markers/walking1.trc"], tmp_path / "xml", loads=tmp_path / "forces.xml", **common)
    assert any(n.kind == "repair" and "was moved from talus_r" in n.text for n in journal.notices)
    analyze([folder / "markers/walking1.trc"], tmp_path / "mot", loads=folder / "grf/walking1_grf.mot", **common)
    assert any("body weight unexplained" in n.text for n in journal.notices)  # the first steps are off the plates
    assert any("instead of talus_r" in n.text for n in journal.notices)  # the right plate stays on its foot
    left, right = (read_storage(tmp_path / f / "kinetics.sto") for f in ("xml", "mot"))
    for column in ("knee_angle_l_moment", "ankle_angle_r_moment", "subtalar_angle_r_moment"):
        np.testing.assert_allclose(left.column(column), right.column(column), atol=0.5)
    assert left.column("ankle_angle_l_moment").min() < -50.0


def test_a_c3d_with_plates_needs_nothing_else(data: Path, tmp_path: Path) -> None:
    journal = Journal()
    analyze([data / "c3d/FunctionalWalk.c3d"], tmp_path / "out", mass=68.0, journal=journal)
    loads = read_storage(tmp_path / "out/loads.mot")
    vertical = [c for c in loads.columns if c.endswith("_vy")]
    assert 0.9 < max(loads.column(c).max() for c in vertical) / (68.0 * 9.80665) < 1.5
    assert json.loads((tmp_path / "out/summary.json").read_text())["settings"]["loads"] == "measured"


def test_one_trial_at_a_time(walk: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one trial"):
        analyze([walk / "walk.trc", walk / "static.trc"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interval_is_as_good_as_its_place_in_the_whole(walk: Path, analyzed: Path, tmp_path: Path) -> None:
    # One cutoff for both: of its own each chooses by the noise that it sees.
    same = {"model": analyzed / "model.osim", "cutoff": 6.0}
    analyze([walk / "walk.trc"], tmp_path / "cut", start=1.0, end=2.0, journal=Journal(), **same)
    analyze([walk / "walk.trc"], tmp_path / "all", journal=Journal(), **same)
    cut, whole = (read_storage(tmp_path / f / "kinetics.sto") for f in ("cut", "all"))
    assert (cut.times[0], cut.times[-1]) == (1.0, 2.0)
    for column in ("knee_angle_r_moment", "hip_flexion_l_moment", "ankle_angle_r_moment"):
        expected = whole.column(column)[np.isin(whole.times, cut.times)]
        np.testing.assert_allclose(cut.column(column), expected, atol=1.5)


def test_an_oblique_heading_is_said(walk: Path, tmp_path: Path) -> None:
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    upright = read_trc(walk / "walk.trc")
    turned = upright.positions @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    write_trc(tmp_path / "oblique.trc", Markers(upright.times, turned, upright.names))
    journal = Journal()
    analyze([tmp_path / "oblique.trc"], tmp_path / "out", mass=66.0, journal=journal)
    assert any(n.kind == "warning" and "away from the nearest axis" in n.text for n in journal.notices)
