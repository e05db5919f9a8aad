"""Scale factors, setups, marker placement and the whole step, against stored references and the wheel's ScaleTool."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motorque.errors import DataError, FileFormatError, ModelError, MotorqueError, OutputError
from motorque.files.motion_files import read_motion
from motorque.files.osim import read_osim
from motorque.files.osim_edit import write_edited
from motorque.files.scale_setup import Measurement, ScalePlan, read_scale_setup
from motorque.files.trc import read_trc, write_trc
from motorque.files.xml import parse_xml
from motorque.fitting.marker_placement import place_markers
from motorque.fitting.scale import frame_range, measure_scales
from motorque.fitting.scale_measurements import automatic_measurements, static_weights
from motorque.journal import Journal
from motorque.mechanics.kinematics import marker_positions
from motorque.series import Markers
from motorque.workflows.scale import scale_step

FACTORS = 1e-4
"""Agreement of scale factors with the stored reference."""
SAME_NUMBERS = 1e-9
"""Agreement with the wheel's own run where both compute the same thing."""


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """A copy of OpenSim's Scale test, where its tool may write."""
    for source in (data / "opensim_tests/Scale").iterdir():
        shutil.copyfile(source, tmp_path / source.name)
    return tmp_path


def applied(path: Path) -> dict[str, np.ndarray]:
    """Factors by body in a ScaleSet file."""
    return {
        (node.findtext("segment") or "").strip(): np.array([float(w) for w in (node.findtext("scales") or "").split()])
        for node in parse_xml(path).getroot().iter("Scale")
    }


def scaled(folder: Path, **options: Any) -> tuple[Any, Journal]:
    journal = Journal()
    files = {"setup": folder / "subject01_Setup_Scale.xml", "out": folder / "ours.osim"} | options
    model = scale_step(folder / "gait2354_simbody.osim", folder / "subject01_static.trc", journal=journal, **files)
    return model, journal


def test_scale_factors_against_the_reference(folder: Path) -> None:
    from motorque.workflows.scale import _with_marker_set

    setup = read_scale_setup(folder / "subject01_Setup_Scale.xml")
    model = _with_marker_set(read_osim(folder / "gait2354_simbody.osim", journal=Journal()), setup, Journal())
    static = read_trc(folder / "subject01_static.trc", journal=Journal())
    scales = measure_scales(model.skeleton, setup.scaling, static)
    reference = applied(folder / "std_subject01_scaleSet_applied.xml")
    for body in model.skeleton.body_names:
        np.testing.assert_allclose(scales.of(body), reference[body], rtol=0, atol=FACTORS, err_msg=body)
    assert sum((f != 1).any() for f in scales.factors) == len(scales.bodies)


def test_the_whole_tool_against_the_wheel(folder: Path, opensim: Any) -> None:
    assert opensim.ScaleTool(str(folder / "subject01_Setup_Scale.xml")).run()
    model, journal = scaled(folder)
    only_scaled = opensim.Model(str(folder / "subject01_scaledOnly.osim"))
    only_scaled.initSystem()
    theirs = opensim.Model(str(folder / "subject01_simbody.osim"))
    ours = opensim.Model(str(folder / "ours.osim"))
    for loaded in (theirs, ours):
        loaded.initSystem()
    assert ours.getName() == theirs.getName() == "subject01"
    for muscle in theirs.getMuscles():
        mine = ours.getMuscles().get(muscle.getName())
        assert mine.getOptimalFiberLength() == pytest.approx(muscle.getOptimalFiberLength(), abs=SAME_NUMBERS)
        assert mine.getTendonSlackLength() == pytest.approx(muscle.getTendonSlackLength(), abs=SAME_NUMBERS)
    for body in theirs.getBodySet():
        assert ours.getBodySet().get(body.getName()).getMass() == pytest.approx(body.getMass(), rel=SAME_NUMBERS)
    names = {m.getName() for m in theirs.getMarkerSet()}
    assert names == {m.getName() for m in ours.getMarkerSet()} == set(model.skeleton.marker_names)
    assert any("static pose: marker error" in n.text for n in journal.notices)
    # OpenSim stops its static pose at an accuracy of 1e-5 with weights from 1 to 1000: how far the markers of its worst
    # determined segment (the torso, weights of 1) lie from ours is bounded by comparing the fits themselves.
    cost = {}
    static = read_trc(folder / "subject01_static.trc", journal=Journal())
    placing = read_scale_setup(folder / "subject01_Setup_Scale.xml").placing
    generic = read_osim(folder / "subject01_scaledOnly.osim", journal=Journal()).skeleton
    frames = frame_range(static, placing.time_range)
    target = np.nanmean(static.positions[frames], axis=0)
    motion = read_motion(folder / "subject01_static_output.mot", generic, journal=Journal())
    still = Markers(np.zeros(1), target[None], static.names)
    from motorque.files.ik_setup import IKSetup
    from motorque.workflows.inverse_kinematics import coordinate_tasks

    tasks = coordinate_tasks(generic, IKSetup(coordinate_tasks=placing.coordinate_tasks), np.zeros(1), Journal())
    fit = place_markers(generic, still, weights=placing.marker_weights, tasks=tasks).fit
    weights = np.array([placing.marker_weights.get(n, 0.0) for n in generic.marker_names])
    index = [static.names.index(n) for n in generic.marker_names]
    for who, q in (("opensim", motion.values[0]), ("ours", fit.motion.values[0])):
        errors = marker_positions(generic, torch.as_tensor(q)).numpy() - target[index]
        squared = weights @ (errors**2).sum(axis=1) / weights.sum()
        cost[who] = squared + sum(t.weight * (q[generic.coordinate(n)] - t.value) ** 2 for n, t in tasks.items())
    assert cost["ours"] <= cost["opensim"] * (1 + 1e-9)
    distances = {
        m.getName(): np.linalg.norm(
            m.get_location().to_numpy() - ours.getMarkerSet().get(m.getName()).get_location().to_numpy()
        )
        for m in theirs.getMarkerSet()
    }
    assert np.median(list(distances.values())) < 1e-3
    assert max(distances.values()) < 10e-3


def test_manual_factors_and_ligaments_against_the_wheel(folder: Path, opensim: Any) -> None:
    opensim.ScaleTool(str(folder / "toyLigamentModel_Setup_Scale.xml")).run()  # False: it has no markers to place
    scale_step(
        folder / "toyLigamentModel.osim", None, setup=folder / "toyLigamentModel_Setup_Scale.xml",
        out=folder / "ours.osim", journal=Journal(),
    )  # fmt: skip
    theirs = opensim.Model(str(folder / "toyLigamentModelScaled.osim"))
    ours = opensim.Model(str(folder / "ours.osim"))
    reference = opensim.Model(str(folder / "std_toyLigamentModelScaled.osim"))
    for force in theirs.getForceSet():
        lengths = [
            opensim.Ligament.safeDownCast(m.getForceSet().get(force.getName())).getRestingLength()
            for m in (theirs, ours, reference)
        ]
        assert lengths[1] == pytest.approx(lengths[0], abs=SAME_NUMBERS)
        assert lengths[1] == pytest.approx(lengths[2], abs=1e-6)
    assert [b.getMass() for b in ours.getBodySet()] == pytest.approx([b.getMass() for b in theirs.getBodySet()])


def test_opencap_rescaling_setup_against_the_wheel(data: Path, opensim: Any, tmp_path: Path) -> None:
    shutil.copyfile(data / "opencap_subject4/models/rescaling_setup.xml", tmp_path / "setup.xml")
    (tmp_path / "Models").mkdir()
    shutil.copyfile(
        data / "opencap_subject4/models/unscaled_generic.osim",
        tmp_path / "Models/unscaled_but_with_optimized_markers.osim",
    )
    setup = read_scale_setup(tmp_path / "setup.xml")
    assert setup.mass == pytest.approx(62.6)
    assert setup.placing is None
    assert setup.scaling.order == ("manualScale",)
    opensim.ScaleTool(str(tmp_path / "setup.xml")).run()
    theirs = read_osim(tmp_path / "Models/optimized_scale_and_markers.osim", journal=Journal()).skeleton
    journal = Journal()
    result = scale_step(
        setup.model_file, data / "opencap_subject4/markers/static1.trc", setup=tmp_path / "setup.xml",
        out=tmp_path / "ours.osim", journal=journal,
    )  # fmt: skip
    for field in ("mass", "mass_center", "inertia", "parent_position", "child_position", "marker_position"):
        np.testing.assert_allclose(
            getattr(result.skeleton, field), getattr(theirs, field), rtol=SAME_NUMBERS, atol=1e-12, err_msg=field
        )
    assert any("static trial is not used" in n.text for n in journal.notices)


def test_setups_of_all_versions(data: Path) -> None:
    folder = data / "opensim_tests/Scale"
    full = read_scale_setup(folder / "subject01_Setup_Scale.xml")
    assert (full.name, full.mass, full.age) == ("subject01", 72.6, 99.0)
    assert full.marker_set_file == folder / "gait2354_Scale_MarkerSet.xml"
    assert full.scaling.order == ("measurements", "manualScale")
    assert [m.name for m in full.scaling.measurements][:3] == ["torso", "pelvis", "thigh"]
    assert full.scaling.measurements[2].pairs == (("R.ASIS", "R.Knee.Lat"), ("L.ASIS", "L.Knee.Lat"))
    assert ("femur_r", (0, 1, 2)) in full.scaling.measurements[2].bodies
    assert full.placing.marker_weights["R.ASIS"] == 1000.0
    assert len(full.placing.coordinate_tasks) == 5
    unassigned = read_scale_setup(folder / "subject01_Setup_Scale_GUI.xml")
    assert unassigned.model_file is None
    assert unassigned.scaling.measurements == full.scaling.measurements
    toy = read_scale_setup(folder / "toyLigamentModel_Setup_Scale.xml")
    assert (toy.mass, toy.height, toy.placing) == (2.0, None, None)
    assert toy.scaling.manual == (("block", (2.0, 2.0, 2.0)), ("block1", (2.0, 2.0, 2.0)))
    bare = read_scale_setup(folder / "gait2354_Scale_MeasurementSet.xml")
    assert len(bare.scaling.measurements) == len(full.scaling.measurements)
    assert len(read_scale_setup(folder / "scaleSet.xml").scaling.manual) == 12


def test_measurements_are_chosen_like_the_experts(data: Path, tmp_path: Path) -> None:
    source = data / "opencap_subject4"
    generic = read_osim(source / "models/unscaled_generic.osim", journal=Journal())
    expert = read_osim(source / "models/manually_scaled.osim", journal=Journal()).skeleton
    static = read_trc(source / "markers/static1.trc", journal=Journal())
    journal = Journal()
    plan = automatic_measurements(generic.skeleton, static, journal=journal)
    scales = measure_scales(generic.skeleton, plan, static)
    place = {
        b: np.linalg.norm(s.parent_position, axis=1) for b, s in (("generic", generic.skeleton), ("expert", expert))
    }
    # the expert's factor of a segment, from how far its child's joint lies from its own
    for body, child in (("femur_r", "tibia_r"), ("tibia_r", "talus_r"), ("calcn_r", "toes_r"), ("humerus_r", "ulna_r"),
                        ("radius_r", "hand_r"), ("femur_l", "tibia_l"), ("tibia_l", "talus_l")):  # fmt: skip
        index = generic.skeleton.body(child)
        lengths = [place[who][index] for who in ("generic", "expert")]
        if min(lengths) < 0.05:
            lengths = [_segment(s, body) for s in (generic.skeleton, expert)]
        assert scales.of(body)[0] == pytest.approx(lengths[1] / lengths[0], abs=0.03), body
    assert (scales.of("talus_r") == scales.of("calcn_r")).all()
    assert (scales.of("patella_r") == scales.of("femur_r")).all()
    assert (scales.of("femur_l") == scales.of("femur_r")).all()
    assert sum("no scale setup" in n.text for n in journal.notices) >= 6
    result = scale_step(
        source / "models/unscaled_generic.osim", source / "markers/static1.trc", mass=60.2, out=tmp_path / "m.osim",
        journal=Journal(),
    )  # fmt: skip
    assert result.skeleton.total_mass() == pytest.approx(60.2, rel=1e-12)
    again = place_markers(
        read_osim(tmp_path / "m.osim", journal=Journal()).skeleton,
        static,
        weights=static_weights(generic.skeleton, static, plan, journal=Journal()),
    ).fit
    errors = dict(zip(again.model_markers.names, again.errors[0], strict=True))
    landmarks = [errors[m.name] for m in result.skeleton.markers if m.fixed]
    assert np.sqrt(np.mean(np.square(landmarks))) < 25e-3  # OpenSim's own advice for a generic model: RMS under 20 mm
    # Markers lay up to 280 mm off before; the pose moves a little now that the hip joint centres pull on it no more.
    assert max(errors[m.name] for m in result.skeleton.markers if not m.fixed) < 5e-3


def _segment(skeleton: Any, body: str) -> float:
    """Distance between the joints at both ends of the thigh in the default pose."""
    from motorque.mechanics.kinematics import forward_kinematics

    child = {"femur_r": "tibia_r", "femur_l": "tibia_l"}[body]
    position = forward_kinematics(skeleton, skeleton.default_pose).position
    return float((position[skeleton.body(child)] - position[skeleton.body(body)]).norm())


def test_time_ranges_are_taken_as_opensim_takes_them() -> None:
    static = Markers(np.arange(10) / 10, np.zeros((10, 1, 3)), ("a",))
    assert frame_range(static, None) == slice(0, 10)
    assert frame_range(static, (0.2, 0.5)) == slice(2, 6)
    assert frame_range(static, (0.25, 0.45)) == slice(2, 6)  # outwards to the next frames
    assert frame_range(static, (-1.0, -1.0)) == slice(0, 1)  # OpenSim's "not given" is its first frame
    assert frame_range(static, (0.7, 5.0)) == slice(7, 10)


def test_marker_placement_recovers_the_places_and_leaves_fixed_ones(data: Path, tmp_path: Path) -> None:
    source = data / "models/LaiArnoldModified2017_contacts.osim"
    true = read_osim(source, journal=Journal()).skeleton
    q = true.default_pose.clone()
    q[true.coordinate("hip_flexion_r")] = 0.2
    q[true.coordinate("pelvis_tx")] = 0.3
    seen = marker_positions(true, true.couple(q)).numpy()
    rng = np.random.default_rng(2)
    moved = true.with_markers(true.markers, true.marker_position + torch.as_tensor(rng.normal(0, 1e-3, seen.shape)))
    static = Markers(np.arange(3) / 100, np.repeat(seen[None], 3, axis=0), true.marker_names)
    placement = place_markers(moved, static)
    free = [n for m, n in zip(true.markers, true.marker_names, strict=True) if not m.fixed]
    assert set(placement.positions) == set(free)
    off = [
        np.linalg.norm(placement.positions[n] - true.marker_position[true.marker_names.index(n)].numpy()) for n in free
    ]
    assert np.median(off) < 1e-3
    assert placement.unmeasured == ()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            ("markers> V.Sacral Top.Head <", "markers> V.Sacral Crown <"),
            DataError,
            "'torso'.*model has no marker 'Crown'",
        ),
        (("<scaling_order> measurements ", "<scaling_order> measure "), FileFormatError, "'measure'"),
        (("<axes> X Y Z <", "<axes> X Q <"), FileFormatError, "axes.*'X Q'"),
        (("<markers> R.ASIS L.ASIS <", "<markers> R.ASIS <"), FileFormatError, "two markers"),
        (("<time_range>", "<time_range> 7"), FileFormatError, "time_range"),
        (("gait2354_Scale_MarkerSet.xml", "missing.xml"), FileFormatError, "missing.xml: no such file"),
        (("</ScaleTool>", ""), FileFormatError, "not well-formed"),
        (("ScaleTool", "InverseDynamicsTool"), FileFormatError, "no ScaleTool"),
    ],
)
def test_wrong_setups(change: tuple[str, str], error: type[MotorqueError], words: str, folder: Path) -> None:
    setup = folder / "subject01_Setup_Scale.xml"
    text = setup.read_text()
    assert change[0] in text
    setup.write_text(text.replace(*change))
    with pytest.raises(error, match=words) as raised:
        scaled(folder)
    assert "\n" not in str(raised.value)
    assert not (folder / "ours.osim").exists()


def test_static_trial_without_a_measured_marker_names_the_pair(folder: Path) -> None:
    static = read_trc(folder / "subject01_static.trc", journal=Journal())
    write_trc(folder / "subject01_static.trc", static.select([n for n in static.names if n != "R.Knee.Lat"]))
    with pytest.raises(DataError, match="R.ASIS - R.Knee.Lat.*'thigh'.*static trial has no marker 'R.Knee.Lat'"):
        scaled(folder)
    hidden = static.positions.copy()
    hidden[:, static.names.index("L.Heel")] = np.nan
    write_trc(folder / "subject01_static.trc", Markers(static.times, hidden, static.names))
    with pytest.raises(DataError, match="L.Heel.*never seen together"):
        scaled(folder)
    assert not (folder / "ours.osim").exists()


def test_gaps_are_averaged_over_and_said(folder: Path) -> None:
    static = read_trc(folder / "subject01_static.trc", journal=Journal())
    gaps = static.positions.copy()
    gaps[70:80, static.names.index("R.ASIS")] = np.nan
    write_trc(folder / "subject01_static.trc", Markers(static.times, gaps, static.names))
    _, journal = scaled(folder)
    assert any("R.ASIS" in n.text and "frames that show both" in n.text for n in journal.notices)


@pytest.mark.parametrize("mass", [0.0, -3.0, float("inf")])
def test_wrong_masses(mass: float, folder: Path) -> None:
    with pytest.raises(DataError, match="positive number of kilograms"):
        scaled(folder, mass=mass)


def test_a_given_mass_overrides_the_setup(folder: Path) -> None:
    assert scaled(folder, mass=81.0)[0].skeleton.total_mass() == pytest.approx(81.0, rel=1e-12)


def test_no_common_markers_without_a_setup(folder: Path) -> None:
    with pytest.raises(DataError, match="share no pair"):
        scaled(folder, setup=None)  # the generic gait2354 has no markers


def test_a_marker_set_for_another_model(folder: Path) -> None:
    markers = folder / "gait2354_Scale_MarkerSet.xml"
    markers.write_text(markers.read_text().replace("<body> torso </body>", "<body> thorax </body>"))
    with pytest.raises(ModelError, match="'thorax'.*torso"):
        scaled(folder)


def test_nothing_is_left_where_nothing_can_be_written(folder: Path) -> None:
    (folder / "place").mkdir()
    with pytest.raises(OutputError):
        scaled(folder, out=folder / "place")
    assert list((folder / "place").iterdir()) == []


def test_paired_markers_at_one_place(data: Path) -> None:
    skeleton = read_osim(data / "models/LaiArnoldModified2017_contacts.osim", journal=Journal()).skeleton
    a, b = skeleton.marker_names[:2]
    together = skeleton.with_markers(skeleton.markers, skeleton.marker_position * 0)
    static = Markers(np.zeros(1), np.zeros((1, 2, 3)), (a, b))
    same_body = [m.name for m in skeleton.markers if m.body == skeleton.markers[0].body][:2]
    plan = ScalePlan(("measurements",), (Measurement("m", (tuple(same_body),), (("pelvis", (0, 1, 2)),)),))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="same place"):
        measure_scales(together, plan, Markers(static.times, static.positions, tuple(same_body)))


def test_the_oldest_file_version_scales_too(data: Path, tmp_path: Path) -> None:
    source = data / "opensim_tests/StaticOptimization/subject01_simbody.osim"  # 10900, which OpenSim 4 can't open
    from motorque.files.osim_scale import scale_osim
    from motorque.series import Scales

    model = read_osim(source, journal=Journal())
    names = model.skeleton.body_names
    result = scale_osim(model, Scales(names, np.full((len(names), 3), 1.1)), journal=Journal())
    write_edited(tmp_path / "m.osim", result.tree, source)
    again = read_osim(tmp_path / "m.osim", journal=Journal())
    np.testing.assert_allclose(again.skeleton.marker_position, 1.1 * model.skeleton.marker_position, rtol=1e-12)
    for old, new in zip(model.model.iter("Thelen2003Muscle"), again.model.iter("Thelen2003Muscle"), strict=True):
        for tag in ("optimal_fiber_length", "tendon_slack_length"):
            if old.findtext(tag) is not None:  # equal factors everywhere: every path grows by the same
                assert float(new.findtext(tag)) == pytest.approx(1.1 * float(old.findtext(tag)), rel=1e-6)
