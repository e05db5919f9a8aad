"""Scales and marker places found from the motion itself: recovered where they are known, and near an expert's model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.files.motion_files import read_motion
from motorque.files.osim import read_osim
from motorque.fitting.foot_flat import flat_frames
from motorque.fitting.heading import heading, quarter_turn, turn_markers
from motorque.fitting.ik import inverse_kinematics
from motorque.fitting.scale_from_motion import fit_body
from motorque.journal import Journal
from motorque.mechanics.kinematics import marker_positions
from motorque.series import Markers
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.marker_sets import match_markers, skeleton_with_markers
from motorque.skeleton.scaling import scale_lengths, set_mass
from motorque.skeleton.skeleton import Skeleton
from motorque.workflows.demo_recording import demo_recording
from motorque.workflows.person import fit_builtin
from motorque.workflows.recording import read_recording

LEGS = ("hip_flexion_r", "hip_flexion_l", "knee_angle_r", "knee_angle_l", "ankle_angle_r", "ankle_angle_l")


def _stretched(seed: int) -> tuple[Skeleton, torch.Tensor]:
    """The built-in skeleton with a person's proportions; left and right alike."""
    generic = fullbody()
    generator = torch.Generator().manual_seed(seed)
    factors = torch.ones(len(generic.body_names), 3, dtype=torch.float64)
    for stem in ("pelvis", "femur", "tibia", "torso", "humerus"):
        factor = 0.9 + 0.25 * torch.rand(1, generator=generator, dtype=torch.float64)
        for body, name in enumerate(generic.body_names):
            if name.startswith(stem):
                factors[body] = factor
    return generic, factors


def test_known_proportions_are_recovered_from_perfect_markers() -> None:
    generic, factors = _stretched(0)
    person = scale_lengths(generic, factors)
    q = person.default_pose + 0.25 * torch.randn(
        40, person.nq, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    q = person.couple(q)
    bony = [m.name for m in generic.markers if not m.name.startswith(("thigh", "shank", "upper_arm", "forearm"))]
    seen = Markers(np.arange(40) / 50, marker_positions(person, q).numpy(), generic.marker_names).select(bony)
    fit = fit_body(generic, [seen], marker_std=dict.fromkeys(bony, 0.01))
    assert fit.rms < 2e-3
    for body in ("femur_r", "tibia_l", "humerus_r"):
        true = float(factors[generic.body(body), 1])
        found, std = fit.scales.of(body)[1], fit.scales.std[fit.scales.bodies.index(body)][1]
        assert found == pytest.approx(true, abs=0.015)
        assert 1e-4 < std < 0.03


def test_its_derivatives_are_those_of_its_residuals() -> None:
    from motorque.fitting.foot_flat import LevelFeet
    from motorque.fitting.scale_from_motion import _Problem
    from motorque.fitting.scale_groups import default_groups

    generic = fullbody()
    generator = torch.Generator().manual_seed(2)
    q = generic.couple(0.3 * torch.randn(3, generic.nq, dtype=torch.float64, generator=generator))
    targets = marker_positions(generic, q) + 0.02
    level = LevelFeet((generic.body("calcn_r"),), torch.tensor([[True], [False], [True]]))
    stds = torch.full((len(generic.markers),), 0.02)
    strays = torch.full_like(stds, 0.01)
    problem = _Problem(generic, default_groups(generic), targets, stds, strays, None, level)
    theta = 0.05 * torch.randn(problem.head + 3 * len(generic.markers), dtype=torch.float64, generator=generator)
    _, by_theta, by_q = problem._jacobians(theta, q)
    step = 1e-6
    directions = torch.randn(2, len(theta), dtype=torch.float64, generator=generator)
    for direction in directions:
        ahead, behind = (problem._jacobians(theta + s * step * direction, q)[0] for s in (1, -1))
        torch.testing.assert_close((ahead - behind) / (2 * step), by_theta @ direction, rtol=1e-6, atol=1e-5)
    turn = torch.randn(len(problem.variables), dtype=torch.float64, generator=generator)
    moved = []
    for sign in (1, -1):
        other = q.clone()
        other[:, problem.variables] += sign * step * turn
        moved.append(problem._jacobians(theta, generic.couple(other))[0])
    torch.testing.assert_close((moved[0] - moved[1]) / (2 * step), by_q @ turn, rtol=1e-6, atol=1e-5)


def test_lengths_and_masses_scale_as_said() -> None:
    generic, factors = _stretched(3)
    double = scale_lengths(generic, torch.full_like(factors, 2.0))
    torch.testing.assert_close(double.inertia, 4 * generic.inertia)
    q = generic.default_pose
    spread = marker_positions(generic, q) - marker_positions(generic, q)[0]
    torch.testing.assert_close(
        marker_positions(double, q) - marker_positions(double, q)[0], 2 * spread, rtol=0, atol=1e-12
    )
    assert set_mass(generic, 50.0).total_mass() == pytest.approx(50.0)
    with pytest.raises(DataError, match="positive"):
        set_mass(generic, 0.0)


@pytest.mark.parametrize(
    ("trial", "static"), [("walking1", False), ("squats1", False), ("walking1", True), ("squats1", True)]
)
def test_is_near_an_experts_model_without_knowing_it(trial: str, static: bool, data: Path) -> None:
    """Hip, knee and ankle flexion within 5° on average of an expert's scaled model and inverse kinematics."""
    folder = data / "opencap_subject4"
    journal = Journal()
    recording = read_recording(folder / f"markers/{trial}.trc", journal=journal).markers
    recordings = [recording]
    if static:
        recordings.insert(0, read_recording(folder / "markers/static1.trc", journal=journal).markers)
    person = fit_builtin(recordings, height=None, mass=None, mass_source="", sex="unknown", journal=journal)
    ours = inverse_kinematics(person.skeleton, recording, weights=person.weights).motion
    theirs = read_motion(
        folder / f"ik/{trial}_manual_scaling_ik.mot", read_osim(folder / "models/manually_scaled.osim").skeleton
    )
    for name in LEGS:
        reference = np.interp(ours.times, theirs.times, theirs.column(name))
        assert np.degrees(np.abs(ours.column(name) - reference).mean()) <= 5.0, name


def test_flat_feet_are_found_in_stance_and_not_in_swing(data: Path) -> None:
    markers = read_recording(data / "opencap_subject4/markers/walking1.trc", journal=Journal()).markers
    flat = flat_frames(markers, ("r_calc", "r_toe", "r_5meta"))
    forces = np.loadtxt(data / "opencap_subject4/grf/walking1_grf.mot", skiprows=_header(data))
    loaded = np.interp(markers.times, forces[:, 0], forces[:, 2]) > 100  # plate 1 is under the right foot at the start
    assert 0.05 < flat.mean() < 0.6
    assert loaded[flat & (markers.times < 0.7)].all()
    standing = read_recording(data / "opencap_subject4/markers/static1.trc", journal=Journal()).markers
    assert flat_frames(standing, ("r_calc", "r_toe", "r_5meta")).mean() > 0.9


def _header(data: Path) -> int:
    lines = (data / "opencap_subject4/grf/walking1_grf.mot").read_text().splitlines()
    return next(i for i, line in enumerate(lines) if line.strip() == "endheader") + 2


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_heading_is_found_and_turned_to_plus_x(quarters: int) -> None:
    markers, _ = demo_recording(duration=2.0)
    match = match_markers(markers.names)
    skeleton = skeleton_with_markers(fullbody(), match)
    angle = quarters * np.pi / 2
    c, s = np.cos(angle), np.sin(angle)
    turned = turn_markers(markers, np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]))
    found = heading(skeleton, turned)
    assert np.cos(found - angle) > np.cos(np.radians(10))
    back = turn_markers(turned, quarter_turn(found))
    np.testing.assert_allclose(back.positions, markers.positions, atol=1e-12)


def test_too_few_known_markers_are_refused() -> None:
    generic = fullbody()
    seen = Markers(np.array([0.0, 0.01]), np.zeros((2, 3, 3)), generic.marker_names[:3])
    with pytest.raises(DataError, match="only 3 markers"):
        fit_body(generic, [seen], marker_std=dict.fromkeys(generic.marker_names, 0.01))
