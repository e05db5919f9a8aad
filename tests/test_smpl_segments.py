"""SMPL's 24 segments against de Leva's printed table: masses, centres of mass and radii of gyration, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from motorque.skeleton import smpl
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, rest_joints
from motorque.skeleton.smpl_names import anatomical_name, segment_of, with_anatomical_names

# de Leva (1996), Table 4, all in percent: mass, centre of mass from the upper end, radii of gyration about sagittal,
# transverse and longitudinal axis
TABLE = {
    "f": {
        "hip": (14.78, 36.12, 36.9, 36.4, 16.2), "knee": (4.81, 44.16, 27.1, 26.7, 9.3),
        "shoulder": (2.55, 57.54, 27.8, 26.0, 14.8), "elbow": (1.38, 45.59, 26.1, 25.7, 9.4),
        "head": 6.68, "trunk": 42.57, "hand": 0.56, "foot": 1.29,
    },
    "m": {
        "hip": (14.16, 40.95, 32.9, 32.9, 14.9), "knee": (4.33, 44.59, 25.5, 24.9, 10.3),
        "shoulder": (2.71, 57.72, 28.5, 26.9, 15.8), "elbow": (1.62, 45.74, 27.6, 26.5, 12.1),
        "head": 6.94, "trunk": 43.46, "hand": 0.61, "foot": 1.37,
    },
}  # fmt: skip
CHILD = {"hip": "knee", "knee": "ankle", "shoulder": "elbow", "elbow": "wrist"}
HALF_DIGIT = 6e-5
"""Of the table's masses as fractions, which add up to 100.0 and not quite to 1."""


@pytest.mark.parametrize("sex", ["f", "m"])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("part", list(CHILD))
def test_limbs_are_the_tables(sex: str, side: str, part: str) -> None:
    body, rest = smpl(sex=sex, mass=80.0, height=1.8), np.array(rest_joints(sex=sex, height=1.8))
    first, last = (SMPL_JOINTS.index(f"{side}_{name}") for name in (part, CHILD[part]))
    mass, center, *radii = (x / 100 for x in TABLE[sex][part])
    span = rest[last] - rest[first]
    length = np.linalg.norm(span)
    assert float(body.mass[first]) / 80.0 == pytest.approx(mass, abs=HALF_DIGIT)
    np.testing.assert_allclose(body.mass_center[first], center * span, atol=1e-9)
    moments = np.diag(body.inertia[first].numpy()) / float(body.mass[first])
    # Legs hang along y, arms lie along x; de Leva's sagittal axis points forward, SMPL's z.
    axes = {"sagittal": 2, "transverse": 0, "longitudinal": 1} if part in ("hip", "knee") else (
        {"sagittal": 2, "transverse": 1, "longitudinal": 0}
    )  # fmt: skip
    for radius, axis in zip(radii, axes.values(), strict=True):
        assert np.sqrt(moments[axis]) == pytest.approx(radius * length, rel=1e-9)
    off = body.inertia[first].numpy() - np.diag(np.diag(body.inertia[first].numpy()))
    assert np.abs(off).max() < 1e-12


@pytest.mark.parametrize("sex", ["f", "m"])
def test_cut_segments_add_up_to_the_tables(sex: str) -> None:
    body = smpl(sex=sex, mass=100.0)
    mass = dict(zip(SMPL_JOINTS, body.mass.tolist(), strict=True))
    for names, wanted in (
        (("neck", "head"), TABLE[sex]["head"]),
        (("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar"), TABLE[sex]["trunk"]),
        (("left_wrist", "left_hand"), TABLE[sex]["hand"]),
        (("right_ankle", "right_foot"), TABLE[sex]["foot"]),
    ):
        assert sum(mass[name] for name in names) == pytest.approx(wanted, abs=0.012), names
    assert sum(mass.values()) == pytest.approx(100.0, rel=1e-12)


def test_every_segment_says_what_it_is() -> None:
    assert all(segment_of(joint) for joint in SMPL_JOINTS)
    assert "toes" in segment_of("left_foot") and "fingers" in segment_of("right_hand")
    assert "assumed" in segment_of("left_collar") and segment_of("left_hip") == "thigh"


def test_other_names_change_nothing_else() -> None:
    body = smpl(sex="f", mass=60.0, rotations="axis-angle")
    other = with_anatomical_names(body)
    assert len(set(other.body_names)) == 24 and other.parents == SMPL_PARENTS
    assert other.body_names == tuple(anatomical_name(name) for name in SMPL_JOINTS)
    assert {"calcn_l", "toes_r", "femur_l", "pelvis", "torso"} <= set(other.body_names)
    assert {"knee_rx_l", "mtp_rz_r", "pelvis_ty", "spine1_ry"} <= set(other.coordinate_names)
    assert len(set(other.coordinate_names)) == 75
    for name in ("mass", "mass_center", "inertia", "parent_position"):
        assert torch.equal(getattr(body, name), getattr(other, name))
