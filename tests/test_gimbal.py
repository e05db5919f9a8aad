"""An arm that passes gimbal lock keeps a steady course, and angles that no joint can follow are reported."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation, Slerp

from motorque.fitting.gimbal import report_impossible_speeds, steady_through_gimbal_lock, swinging_joints
from motorque.fitting.ik import inverse_kinematics
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.series import Markers
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import Skeleton


def _arm_past_the_pole(noise: float) -> tuple[Skeleton, Markers]:
    """The right arm swinging evenly about one axis, past the pose in which flexion and rotation share their axis."""
    skeleton = fullbody()
    shoulder = skeleton.body("humerus_r")
    driven = [e.coordinate for e in skeleton.joints[shoulder].elements[:3]]
    axes = skeleton.rotation_axes[shoulder].numpy()
    times = np.arange(31) / 100
    ends = skeleton.default_pose.repeat(2, 1)
    ends[0, driven] = torch.tensor([0.1, -1.1, 0.0]).double()
    ends[1, driven] = torch.tensor([-0.1, -2.0, 0.2]).double()
    turned = forward_kinematics(skeleton, ends)
    torso = skeleton.body("torso")
    relative = [turned.rotation[i, torso].T @ turned.rotation[i, shoulder] for i in range(2)]
    path = Slerp([0.0, times[-1]], Rotation.from_matrix(np.stack([r.numpy() for r in relative])))(times)
    q = skeleton.default_pose.repeat(len(times), 1)
    q[:, driven] = torch.as_tensor(path.as_davenport(axes, "intrinsic").copy())
    positions = marker_positions(skeleton, q).numpy()
    positions += noise * np.random.default_rng(0).normal(size=positions.shape)
    return skeleton, Markers(times, positions, skeleton.marker_names)


def _fastest(skeleton: Skeleton, q: np.ndarray, times: np.ndarray) -> float:
    driven = [e.coordinate for e in skeleton.joints[skeleton.body("humerus_r")].elements[:3]]
    return float(np.abs(np.gradient(np.unwrap(q[:, driven], axis=0), times, axis=0)).max())


def test_a_swinging_shoulder_is_held_and_its_markers_stay_met() -> None:
    skeleton, markers = _arm_past_the_pole(0.002)
    fit = inverse_kinematics(skeleton, markers)
    assert list(swinging_joints(skeleton, fit.motion.values, markers.times)) == [skeleton.body("humerus_r")]
    journal = Journal()
    steady = steady_through_gimbal_lock(skeleton, markers, fit, weights=None, journal=journal)
    assert any("acromial_r pass gimbal lock" in n.text for n in journal.notices)
    before, after = (_fastest(skeleton, f.motion.values, markers.times) for f in (fit, steady))
    assert after < 0.6 * before
    assert steady.rms.max() < fit.rms.max() + 2e-3


def test_a_walk_is_left_alone() -> None:
    from motorque.workflows.demo_recording import demo_recording

    skeleton = fullbody()
    _, truth = demo_recording(duration=1.0)
    assert not swinging_joints(skeleton, truth.motion.values, truth.motion.times)


def test_impossible_speeds_are_named() -> None:
    skeleton = fullbody()
    rate = np.zeros((10, skeleton.nq))
    rate[4, skeleton.coordinate("arm_flex_l")] = 90.0
    rate[4, skeleton.coordinate("pelvis_tx")] = 90.0
    journal = Journal()
    report_impossible_speeds(skeleton, rate, np.arange(10) / 100, journal)
    assert [n.about for n in journal.notices] == ["arm_flex_l"]
