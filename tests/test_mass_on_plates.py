"""The mass that plates and motion show together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motorque.fitting.mass_on_plates import mass_on_plates
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics
from motorque.series import Load, Loads, Motion
from motorque.skeleton.fullbody import fullbody


def _bobbing(share: np.ndarray) -> tuple:
    """The built-in skeleton going up and down by 5 cm, on plates that carry a share of what a mass of 80 kg needs."""
    skeleton = fullbody()
    times = np.arange(200) / 100
    q = skeleton.default_pose.expand(200, -1).clone()
    rise = skeleton.coordinate("pelvis_ty")
    omega = 2 * np.pi * 1.5
    q[:, rise] += torch.as_tensor(0.05 * np.sin(omega * times))
    center = center_of_mass(skeleton, forward_kinematics(skeleton, q)).numpy()[:, 1]
    assert np.ptp(center) == pytest.approx(0.1, rel=0.01)
    upward = -0.05 * omega**2 * np.sin(omega * times)
    force = np.zeros((200, 3))
    force[:, 1] = 80.0 * (upward + 9.80665) * share
    load = Load("plate", "calcn_r", force, np.zeros((200, 3)), np.zeros((200, 3)))
    return skeleton, Motion(times, q.numpy(), skeleton.coordinate_names), Loads(times, (load,))


def test_is_force_over_acceleration_where_all_is_carried() -> None:
    assert mass_on_plates(*_bobbing(np.ones(200))) == pytest.approx(80.0, rel=1e-3)


def test_frames_with_a_foot_off_the_plates_do_not_count() -> None:
    share = np.ones(200)
    share[:120] = 0.5
    assert mass_on_plates(*_bobbing(share)) == pytest.approx(80.0, rel=1e-3)


def test_nobody_on_the_plates_has_no_mass() -> None:
    assert mass_on_plates(*_bobbing(np.zeros(200))) is None
    brief = np.zeros(200)
    brief[100:110] = 1.0
    assert mass_on_plates(*_bobbing(brief)) is None
