"""Ground forces without plates: Newton's law, contact, sharing, and what the feet do not explain."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from motorque.errors import DataError, ModelError
from motorque.files.external_loads import read_plates
from motorque.fitting.banded_qp import nonnegative_least_squares
from motorque.fitting.contact_points import contact_points
from motorque.fitting.ground_loads import estimate_ground_loads, ground_estimate
from motorque.journal import Journal
from motorque.mechanics.dynamics import inverse_dynamics
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.series import Motion
from motorque.signals import NaturalSpline, butterworth
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton
from motorque.workflows.ground_loads import loads_step

GRAVITY = 9.80665
NEWTON = 1e-6  # [N] for identities
QUIET = 1e-3  # share of body weight: the solver's tolerance and `TOTAL_ERROR` of a body at rest


@pytest.fixture(scope="module")
def person() -> Skeleton:
    return fullbody()


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "benchmarks" / "ground_loads.py"
    spec = importlib.util.spec_from_file_location("ground_loads_benchmark", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def posed(person: Skeleton, frames: int = 100, **coordinates: float | np.ndarray) -> Motion:
    """The default pose over time at 100 Hz, some coordinates changed (angles in degrees); soles on Y = 0."""
    q = person.default_pose.numpy()[None].repeat(frames, axis=0)
    sole = min(
        float(
            forward_kinematics(person, person.default_pose).point(s.body, torch.tensor(s.center, dtype=torch.float64))[
                1
            ]
        )
        - s.radius
        for s in person.contact_spheres
    )
    q[:, person.coordinate("pelvis_ty")] -= sole
    for name, value in coordinates.items():
        index = person.coordinate(name)
        q[:, index] += np.radians(value) if person.coordinates[index].rotational else value
    return Motion(np.arange(frames) / 100.0, person.couple(torch.as_tensor(q)).numpy(), person.coordinate_names)


def turned(skeleton: Skeleton, angle: float, lift: float) -> Skeleton:
    """The skeleton in a world that was turned about the vertical and lifted."""
    c, s = np.cos(angle), np.sin(angle)
    turn = torch.tensor([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    root = skeleton.parents.index(-1)
    rotation, position = skeleton.parent_rotation.clone(), skeleton.parent_position.clone()
    rotation[root] = turn @ rotation[root]
    position[root] = turn @ position[root] + torch.tensor([0.0, lift, 0.0])
    return dataclasses.replace(skeleton, parent_rotation=rotation, parent_position=position)


def test_banded_solver_equals_nnls() -> None:
    rng = np.random.default_rng(1)
    frames, rows, count = 7, 3, 5
    a, b = rng.standard_normal((frames, rows, count)), rng.standard_normal((frames, rows))
    weight = rng.uniform(0.1, 2.0, (frames, count))
    link = rng.standard_normal((2, count))
    found, converged = nonnegative_least_squares(a, b, weight, link.T @ link)
    stacked = np.zeros((frames * rows + frames * count + (frames - 1) * 2, frames * count))
    right = np.zeros(len(stacked))
    for t in range(frames):
        stacked[t * rows : (t + 1) * rows, t * count : (t + 1) * count] = a[t]
        right[t * rows : (t + 1) * rows] = b[t]
    stacked[frames * rows : frames * (rows + count)] = np.diag(np.sqrt(weight).ravel())
    for t in range(frames - 1):
        row = frames * (rows + count) + 2 * t
        stacked[row : row + 2, t * count : (t + 1) * count] = -link
        stacked[row : row + 2, (t + 1) * count : (t + 2) * count] = link
    expected, _ = nnls(stacked, right)
    assert converged
    np.testing.assert_allclose(found.ravel(), expected, atol=1e-4)  # unknowns near zero: root of the gap of 1e-9


def test_standing_still_carries_the_weight_under_the_centre_of_mass(person: Skeleton) -> None:
    motion = posed(person)
    estimate = ground_estimate(person, motion, journal=Journal())
    weight = person.total_mass() * GRAVITY
    total = estimate.loads.total_force()
    np.testing.assert_allclose(total[:, 1], weight, rtol=QUIET)
    assert np.abs(total[:, [0, 2]]).max() < QUIET * weight
    right, left = estimate.loads.loads
    assert (right.body, left.body) == ("calcn_r", "calcn_l")
    np.testing.assert_allclose(right.force[:, 1], left.force[:, 1], rtol=0.01)  # a symmetric pose
    center = center_of_mass(person, forward_kinematics(person, torch.as_tensor(motion.values))).numpy()
    pressure = 0.5 * (right.point + left.point)
    assert np.abs(pressure[:, 2] - center[:, 2]).max() < 0.005
    assert np.abs(pressure[:, 0] - center[:, 0]).max() < 0.04  # known no better: PRESSURE_POINT_ERROR
    # Legs that stand apart press outwards, so the ground pushes inwards; the right foot is at +Z.
    assert right.force[0, 2] <= 0.0 <= left.force[0, 2]


def test_standing_on_one_foot_loads_that_foot_alone(person: Skeleton) -> None:
    motion = posed(person, hip_flexion_l=50.0, knee_angle_l=90.0, hip_adduction_r=0.0)
    right, left = estimate_ground_loads(person, motion, journal=Journal()).loads
    assert (left.force == 0).all() and np.isnan(left.point).all() and (left.moment == 0).all()
    np.testing.assert_allclose(right.force[:, 1], person.total_mass() * GRAVITY, rtol=QUIET)


def test_mass_scales_the_forces(person: Skeleton) -> None:
    loads = estimate_ground_loads(person, posed(person), mass=50.0, journal=Journal())
    np.testing.assert_allclose(loads.total_force()[:, 1], 50.0 * GRAVITY, rtol=QUIET)


def test_nothing_in_flight(person: Skeleton) -> None:
    times = np.arange(120) / 100.0
    flight = np.clip(times - 0.4, 0.0, 0.4)
    height = np.where((times > 0.4) & (times < 0.8), 0.5 * GRAVITY * flight * (0.4 - flight), 0.0)
    loads = estimate_ground_loads(person, posed(person, 120, pelvis_ty=height), cutoff=20.0, journal=Journal())
    assert (np.abs(loads.total_force()[50:71]) == 0).all()
    assert all(np.isnan(load.point[50:71]).all() for load in loads.loads)


def test_a_box_is_not_the_ground(person: Skeleton) -> None:
    times = np.arange(300) / 100.0
    step = 0.5 * (1 + np.cos(np.pi * np.clip((times - 1.0) / 0.5, 0.0, 1.0)))
    motion = posed(person, 300, pelvis_ty=0.4 * step)
    journal = Journal()
    estimate = ground_estimate(person, motion, journal=journal)
    assert (estimate.loads.total_force()[:90] == 0).all()
    np.testing.assert_allclose(estimate.loads.total_force()[200:, 1], estimate.weight, rtol=QUIET)
    assert estimate.airborne[:90].all() and not estimate.airborne[200:].any()
    said = [n.text for n in journal.notices if n.kind == "warning"]
    assert len(said) == 1 and "no foot is on the ground" in said[0] and "from 0.00 to 1.3" in said[0]


def test_a_treadmill_is_found_and_changes_no_force(bench: ModuleType, data: Path) -> None:
    recording = _recording(bench, data, "walking1")
    motion = recording.motion
    moved = motion.values.copy()
    moved[:, motion.names.index("pelvis_tx")] -= 1.2 * motion.times
    journal = Journal()
    belt = estimate_ground_loads(recording.skeleton, Motion(motion.times, moved, motion.names), journal=journal)
    ground = estimate_ground_loads(recording.skeleton, motion, journal=Journal())
    for a, b in zip(belt.loads, ground.loads, strict=True):
        assert np.abs(a.force - b.force).max() < 0.005 * 62.6 * GRAVITY  # the belt's speed is known to 0.01 m/s
    assert any("treadmill" in n.text and "1.20 m/s" in n.text for n in journal.notices)


def test_heading_and_height_of_the_ground_do_not_matter(bench: ModuleType, data: Path) -> None:
    recording = _recording(bench, data, "walking1")
    angle, lift = 2.0, 0.7
    here = estimate_ground_loads(turned(recording.skeleton, 0.0, lift), recording.motion, journal=Journal())
    there = estimate_ground_loads(turned(recording.skeleton, angle, lift), recording.motion, journal=Journal())
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    for a, b in zip(here.loads, there.loads, strict=True):
        # Directions of the feet's outline and the solver's tolerance: 0.01 N of 600, 0.1 mm.
        np.testing.assert_allclose(a.force @ turn.T, b.force, atol=0.01)
        np.testing.assert_allclose(a.point @ turn.T, b.point, atol=1e-4)
        assert np.nanmedian(a.point[:, 1]) == pytest.approx(lift, abs=0.01)
        np.testing.assert_array_equal(np.isnan(a.point), np.isnan(b.point))
        assert (np.isnan(a.point[:, 0]) == (a.force[:, 1] < 20.0)).all()


def test_residuals_are_what_inverse_dynamics_leaves_at_the_root(bench: ModuleType, data: Path) -> None:
    recording = _recording(bench, data, "walking1")
    skeleton, motion = recording.skeleton, recording.motion
    estimate = ground_estimate(skeleton, motion, journal=Journal())
    spline = NaturalSpline(motion.times, butterworth(motion.values, motion.rate, 6.0))
    q, v, a = (torch.as_tensor(spline(motion.times, order).copy()) for order in (0, 1, 2))
    q, v, a = skeleton.couple_derivatives(q, v, a)
    wrenches = {
        load.body: (torch.as_tensor(load.force), torch.as_tensor(load.moment_about_origin))
        for load in estimate.loads.loads
    }
    tau = inverse_dynamics(skeleton, q, v, a, loads=wrenches).numpy()
    root = [skeleton.coordinate(f"pelvis_t{axis}") for axis in "xyz"]
    np.testing.assert_allclose(tau[:, root], estimate.residual_force, atol=NEWTON)


@pytest.mark.parametrize("name", ["walking1", "walkingTS1", "squats1", "rajagopal_walk"])
def test_figures_against_the_plates(bench: ModuleType, data: Path, name: str) -> None:
    """Total 4 %BW, each foot 7 %BW, centre of pressure 30 mm.

    In the two walks the plates weigh 63.6 kg, not the 60.2 kg of the static trial: with 60.2 kg every estimate that
    obeys Newton's law is 5 %BW low, so the total is held to the figure with the trial's own mass, the feet with both.
    """
    recording = _recording(bench, data, name)
    _, rough, frames = bench.evaluate(recording)
    own = bench.trial_mass(recording, rough, frames)
    error, _, frames = bench.evaluate(recording, own)
    assert frames.sum() > 0.85 * len(frames)
    assert error["total"] <= 4.0
    for mass in (own, recording.mass, bench.STATIC_MASS if bench._opencap(recording) else own):
        error, _, _ = bench.evaluate(recording, mass)
        assert max(error["foot r"], error["foot l"]) <= 7.0
        assert 0.5 * (error["point r"] + error["point l"]) <= 30.0
        assert error["no point r"] == error["no point l"] == 0.0
    if name.startswith("walking"):
        assert own == pytest.approx(63.6, abs=0.3)
    elif name == "squats1":
        assert bench.evaluate(recording, bench.STATIC_MASS)[0]["total"] <= 4.0


@pytest.mark.parametrize("subject", ["arnold subject01", "arnold subject02"])
def test_models_with_spheres_of_their_own(bench: ModuleType, data: Path, subject: str) -> None:
    recording = _recording(bench, data, subject)
    journal = Journal()
    error, _, _ = bench.evaluate(recording, journal=journal)
    assert not any("no contact spheres" in n.text for n in journal.notices)
    assert error["total"] <= 4.0 and max(error["foot r"], error["foot l"]) <= 7.0
    assert 0.5 * (error["point r"] + error["point l"]) <= 30.0


def test_a_chair_is_seen_and_not_given_to_the_feet(bench: ModuleType, data: Path) -> None:
    recording = _recording(bench, data, "STS1")
    journal = Journal()
    error, estimate, _ = bench.evaluate(recording, bench.STATIC_MASS, journal=journal)
    said = [n.text for n in journal.notices if n.kind == "warning"]
    assert len(said) == 1 and "a chair" in said[0] and "6 times between" in said[0]
    assert error["total"] <= 7.0  # 36 if the feet were given the whole weight
    height = recording.motion.column("pelvis_ty")
    assert not estimate.outside[height > height.max() - 0.1].any()  # standing


def test_foot_shape_and_size_come_from_the_model(person: Skeleton) -> None:
    bare = dataclasses.replace(person, contact_spheres=())
    journal = Journal()
    same = contact_points(bare, journal=journal)
    own = contact_points(person, journal=Journal())
    for a, b in zip(same.spheres, own.spheres, strict=True):
        np.testing.assert_allclose(a.center, b.center, atol=1e-12)
    assert any("no contact spheres on calcn_r and calcn_l" in n.text for n in journal.notices)
    longer = bare.parent_position.clone()
    for side in "rl":
        longer[bare.body(f"toes_{side}")] *= 1.2
    big = contact_points(dataclasses.replace(bare, parent_position=longer), journal=Journal())
    np.testing.assert_allclose([s.radius for s in big.spheres], [1.2 * s.radius for s in own.spheres], rtol=1e-9)
    assert big.length[0] == pytest.approx(1.2 * own.length[0], rel=1e-6)
    for foot in (0, 1):
        assert own.share[own.foot == foot].sum() == pytest.approx(1.0)


def test_wrong_inputs(person: Skeleton) -> None:
    motion = posed(person)
    with pytest.raises(DataError, match="mass must be a positive number"):
        estimate_ground_loads(person, motion, mass=-3.0, journal=Journal())
    with pytest.raises(DataError, match="too few"):
        estimate_ground_loads(person, Motion(motion.times[:3], motion.values[:3], motion.names), journal=Journal())
    with pytest.raises(DataError, match="lacks pelvis_tilt"):
        estimate_ground_loads(person, Motion(motion.times, motion.values[:, 1:], motion.names[1:]), journal=Journal())
    with pytest.raises(DataError, match="half the sampling rate"):
        estimate_ground_loads(person, motion, cutoff=60.0, journal=Journal())
    fast = posed(person, pelvis_ty=5.0 * np.arange(100) / 100.0)
    with pytest.raises(DataError, match="ever slower"):
        estimate_ground_loads(person, fast, journal=Journal())
    hands = dataclasses.replace(
        person, body_names=tuple(n.replace("calcn", "part") for n in person.body_names), contact_spheres=()
    )
    with pytest.raises(ModelError, match="no foot of side 'r'"):
        estimate_ground_loads(hands, motion, journal=Journal())


def test_uneven_frame_times_are_allowed(person: Skeleton) -> None:
    motion = posed(person)
    times = motion.times + 0.002 * np.sin(np.arange(100.0))
    loads = estimate_ground_loads(person, Motion(times, motion.values, motion.names), journal=Journal())
    np.testing.assert_allclose(loads.total_force()[:, 1], person.total_mass() * GRAVITY, rtol=QUIET)


def test_step_writes_what_it_found(data: Path, tmp_path: Path) -> None:
    folder = data / "opencap_subject4"
    out = tmp_path / "grf.mot"
    loads = loads_step(
        folder / "models" / "manually_scaled.osim",
        folder / "ik" / "walking1_manual_scaling_ik.mot",
        mass=60.2,
        cutoff=None,
        out=out,
        journal=Journal(),
    )
    again = read_plates(out, journal=Journal())
    assert [load.name for load in again.loads] != [] and len(again.loads) == 2
    for a, b in zip(loads.loads, again.loads, strict=True):
        np.testing.assert_allclose(a.force, b.force, atol=1e-5)
        np.testing.assert_allclose(a.moment_about_origin, b.moment_about_origin, atol=1e-4)
    assert "ground_force_r_vx" in out.read_text().splitlines()[-len(loads.times) - 1]
    with pytest.raises(DataError, match="walking1_manual_scaling_ik.mot: mass must be"):
        loads_step(
            folder / "models" / "manually_scaled.osim",
            folder / "ik" / "walking1_manual_scaling_ik.mot",
            mass=-1.0,
            out=tmp_path / "none.mot",
            journal=Journal(),
        )
    assert not (tmp_path / "none.mot").exists()


def _recording(bench: ModuleType, data: Path, name: str) -> object:
    return bench.load(*next(paths for paths in bench.recordings(data) if paths[0] == name))
