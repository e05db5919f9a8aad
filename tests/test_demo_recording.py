"""The built-in recording walks as people do: feet that stay, a body that obeys gravity, markers with known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.files.trc import read_trc
from motorque.journal import Journal
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics, marker_positions
from motorque.series.normative_gait import normative, normative_names
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.marker_sets import match_markers
from motorque.synthesis.stride import LOADED
from motorque.workflows.demo_recording import DemoTruth, demo_recording, demo_static, write_demo

GRAVITY = 9.80665


@pytest.fixture(scope="module")
def walk() -> DemoTruth:
    return demo_recording(noise=0.0, gaps=0)[1]


def test_same_seed_same_recording() -> None:
    first, again, other = demo_recording(seed=3)[0], demo_recording(seed=3)[0], demo_recording(seed=4)[0]
    np.testing.assert_array_equal(first.positions, again.positions)
    assert np.nanmax(np.abs(first.positions - other.positions)) > 0.002


def test_markers_are_the_truth_but_for_noise_and_gaps() -> None:
    markers, truth = demo_recording(noise=0.0012)
    exact = marker_positions(truth.skeleton, torch.from_numpy(truth.motion.values)).numpy()
    error = markers.positions - exact
    assert np.nanstd(error) == pytest.approx(0.0012, rel=0.02)
    assert 0.003 < 1 - markers.seen.mean() < 0.03
    assert markers.names == truth.skeleton.marker_names
    assert markers.rate == pytest.approx(100.0)


def test_marker_set_is_known() -> None:
    walk_match = match_markers(demo_recording()[0].names)
    static_match = match_markers(demo_static()[0].names)
    assert walk_match.unmatched == static_match.unmatched == ()
    assert walk_match.set_name == "Plug-in Gait"
    assert {"RKNM", "LMED"} <= set(demo_static()[0].names) - set(demo_recording()[0].names)


def test_person_is_not_the_generic_one(walk: DemoTruth) -> None:
    generic, person = fullbody(), walk.skeleton
    thigh, shank = (person.body(b) for b in ("tibia_r", "talus_r"))
    ratio = person.parent_position[[thigh, shank], 1] / generic.parent_position[[thigh, shank], 1]
    assert abs(float(ratio[0] - ratio[1])) > 0.02
    assert person.total_mass() == pytest.approx(walk.mass, rel=1e-9)
    assert 1.6 < walk.height < 1.8


def test_walk_is_natural(walk: DemoTruth) -> None:
    motion = walk.motion
    assert 1.2 < walk.speed < 1.4
    assert 0.6 < walk.speed * walk.stride_time / 2 < 0.75
    advance = motion.column("pelvis_tx")
    assert (advance[-1] - advance[0]) / motion.times[-1] == pytest.approx(walk.speed, rel=0.02)
    assert 0.025 < np.ptp(motion.column("pelvis_ty")) < 0.055
    assert 0.02 < np.ptp(motion.column("pelvis_tz")) < 0.06
    assert len(walk.right_contacts) in (7, 8) and len(walk.left_contacts) in (7, 8)


@pytest.mark.parametrize("name", ["hip_flexion", "hip_adduction", "knee_angle", "ankle_angle"])
@pytest.mark.parametrize(("side", "contacts"), [("r", "right_contacts"), ("l", "left_contacts")])
def test_angles_lie_in_the_normative_band(walk: DemoTruth, name: str, side: str, contacts: str) -> None:
    """Within 2 SD everywhere, 1 SD on the mean over the stride."""
    start, end = getattr(walk, contacts)[1:3]
    angle = np.degrees(np.interp(np.linspace(start, end, 101), walk.motion.times, walk.motion.column(f"{name}_{side}")))
    norm = normative(name)
    distance = np.abs(angle - norm.mean) / norm.sd
    assert distance.max() < 2.0
    assert distance.mean() < 1.0


def test_feet_stay_where_they_are_put(walk: DemoTruth) -> None:
    """While a sphere carries load it neither slides nor leaves the floor nor sinks deep into it."""
    skeleton = walk.skeleton
    poses = forward_kinematics(skeleton, torch.from_numpy(walk.motion.values))
    for sphere in skeleton.contact_spheres:
        place = poses.point(sphere.body, torch.tensor(sphere.center, dtype=torch.float64)).numpy()
        height = place[:, 1] - sphere.radius
        assert height.min() > -0.010
        contacts = walk.right_contacts if sphere.name.endswith("_r") else walk.left_contacts
        first, last = LOADED[sphere.name[:2]]
        for contact in contacts[1:-1]:
            share = (walk.motion.times - contact) / walk.stride_time
            loaded = (share > first + 0.02) & (share < last - 0.02)
            assert height[loaded].max() < 0.010, sphere.name
            assert np.ptp(place[loaded, 0]) < 0.020, sphere.name  # a sphere of 31 mm rolls a little
            assert np.ptp(place[loaded, 2]) < 0.010, sphere.name
            swinging = (share > 0.68) & (share < 0.94)
            assert height[swinging].min() > 0.002, sphere.name


def test_body_obeys_gravity(walk: DemoTruth) -> None:
    """The force that its centre of mass needs is that of a walk: a body weight on the mean, two peaks, never a jump."""
    motion = walk.motion
    center = center_of_mass(walk.skeleton, forward_kinematics(walk.skeleton, torch.from_numpy(motion.values))).numpy()
    step = motion.times[1]
    acceleration = np.diff(center, n=2, axis=0) / step**2
    vertical = 1 + acceleration[:, 1] / GRAVITY
    assert vertical.mean() == pytest.approx(1.0, abs=0.02)
    assert 0.6 < vertical.min() < 0.9 and 1.1 < vertical.max() < 1.5
    assert 0.1 < np.abs(acceleration[:, 0]).max() / GRAVITY < 0.3
    assert np.abs(acceleration[:, 2]).max() / GRAVITY < 0.12


def test_static_trial_stands_on_flat_soles() -> None:
    markers, truth = demo_static(noise=0.0)
    skeleton = truth.skeleton
    poses = forward_kinematics(skeleton, torch.from_numpy(truth.motion.values))
    lowest = [
        poses.point(s.body, torch.tensor(s.center, dtype=torch.float64))[:, 1].numpy() - s.radius
        for s in skeleton.contact_spheres
    ]
    assert np.min(lowest) == pytest.approx(0.0, abs=1e-9)
    assert np.max(np.min(lowest, axis=1)) < 0.02
    assert np.ptp(markers.positions, axis=0).max() < 0.03
    same = demo_recording(noise=0.0, gaps=0)[1].skeleton
    for index, name in enumerate(same.marker_names):  # the very markers of the walk
        here = skeleton.marker_position[skeleton.marker_names.index(name)]
        torch.testing.assert_close(here, same.marker_position[index], atol=0, rtol=0)


def test_files_hold_the_recording(tmp_path: Path) -> None:
    paths = write_demo(tmp_path)
    assert {key: path.name for key, path in paths.items()} == {"walk": "walk.trc", "static": "static.trc"}
    read = read_trc(paths["walk"], journal=Journal())
    markers = getattr(read, "markers", read)
    expected = demo_recording()[0]
    assert markers.names == expected.names
    np.testing.assert_allclose(markers.positions, expected.positions, atol=1e-8, rtol=0)


def test_normative_curves_are_in_opensims_signs() -> None:
    for name in normative_names():
        curve = normative(name)
        assert curve.mean.shape == curve.sd.shape == (101,)
        assert (curve.sd >= 0).all() and curve.source
        assert abs(curve.mean[0] - curve.mean[100]) <= 0.1 * curve.sd.max(), name  # a stride ends as it began
    assert normative("knee_angle").mean.argmax() in range(70, 76)  # swing flexion, positive
    assert normative("ankle_angle").mean.argmin() in range(60, 68)  # plantarflexion at toe-off, negative
    assert normative("ankle_angle_moment").mean.min() == pytest.approx(-1.23, abs=0.02)  # plantarflexors push off
    assert normative("hip_flexion_moment").mean[10] < 0 < normative("hip_flexion_moment").mean[50]
    assert normative("knee_angle_moment").mean[12] < -0.3  # extensors absorb the impact
    assert normative("ankle_power").mean.max() == pytest.approx(2.8, abs=0.05)
    assert normative("pelvis_tilt").mean.max() < 0  # forward tilt
    assert normative("ground_force_vertical").mean[65:].max() == 0
    with pytest.raises(DataError, match="no normative curve"):
        normative("elbow")


def test_power_is_moment_times_velocity() -> None:
    """The published curves agree with each other: the ankle's push-off power to a quarter, its place to 3 % of the
    stride.

    The means of a product and of its factors differ between people; the sign of angle and moment would not survive
    this.
    """
    angle, moment, power = (normative(n).mean for n in ("ankle_angle", "ankle_angle_moment", "ankle_power"))
    product = moment * np.gradient(np.radians(angle), 0.01)  # per stride; children's free stride lasts about 0.95 s
    assert np.corrcoef(product, power)[0, 1] > 0.9
    assert abs(int(product.argmax()) - int(power.argmax())) <= 3
    assert product.max() / 0.95 == pytest.approx(power.max(), rel=0.25)
