"""The body of the fit to keypoints against the skeleton's own kinematics, and its derivatives against differences."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from motorque.errors import ModelError
from motorque.fitting.keypoint_attachments import ATTACHMENTS, GROUPS, group_masks
from motorque.fitting.keypoint_body import KeypointBody
from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.scaling import scale_lengths
from motorque.skeleton.smpl import smpl

NAMES = [n for n in ATTACHMENTS if n not in ("pelvis", "neck")]


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(3)
    body = KeypointBody(fullbody(), [ATTACHMENTS[n] for n in NAMES])
    angles = 0.3 * rng.normal(size=(4, len(body.names)))
    factors = 1 + 0.1 * rng.normal(size=len(GROUPS))
    offsets = 0.02 * rng.normal(size=(len(body.point_body), 3))
    return body, angles, factors, offsets, rng


def test_points_are_those_of_the_scaled_skeleton(case):
    body, angles, factors, offsets, rng = case
    rotation, position = Rotation.random(4, random_state=1).as_matrix(), rng.normal(size=(4, 3))
    stretch = np.einsum("g,gbx->bx", factors, body.masks)
    person = scale_lengths(body.skeleton, torch.as_tensor(stretch))
    placed = KeypointBody(person, body.attachments)
    poses = forward_kinematics(person, torch.as_tensor(placed.coordinates(position, rotation, angles)))
    local = stretch[body.point_body] * body.point_offset + offsets
    expected = (
        poses.position[:, body.point_body].numpy()
        + (poses.rotation[:, body.point_body].numpy() @ local[..., None])[..., 0]
    )
    found = position[:, None] + body.points(angles, factors, offsets).position @ rotation.swapaxes(-1, -2)
    np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("kind", ["angles", "factors", "offsets"])
def test_derivatives(case, kind):
    body, angles, factors, offsets, rng = case
    points = body.points(angles, factors, offsets)
    step = 1e-6
    if kind == "angles":
        move = rng.normal(size=angles.shape)
        expected = np.einsum("tkxn,tn->tkx", points.by_angle, move)
        ends = [body.points(angles + s * step * move, factors, offsets).position for s in (1, -1)]
    elif kind == "factors":
        move = rng.normal(size=factors.shape)
        expected = points.by_factor @ move
        ends = [body.points(angles, factors + s * step * move, offsets).position for s in (1, -1)]
    else:
        move = rng.normal(size=offsets.shape)
        expected = np.einsum("tkxy,ky->tkx", points.by_offset, move)
        ends = [body.points(angles, factors, offsets + s * step * move).position for s in (1, -1)]
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), expected, atol=1e-8)


def test_a_pose_and_its_coordinates_go_back_and_forth(case):
    body, angles, *_, rng = case
    rotation, position = Rotation.random(4, random_state=5).as_matrix(), rng.normal(size=(4, 3))
    q = body.coordinates(position, rotation, angles)
    found = body.pelvis_pose(q)
    np.testing.assert_allclose(found[0], position, atol=1e-12)
    np.testing.assert_allclose(found[1], rotation, atol=1e-12)
    np.testing.assert_allclose(q[:, body.columns], angles)


def test_every_length_belongs_to_one_group():
    masks = group_masks(fullbody())
    np.testing.assert_array_equal(masks.sum(0), 1.0)


def test_a_skeleton_of_another_family_is_named():
    with pytest.raises(ModelError, match="keypoints are attached to|six coordinates"):
        KeypointBody(smpl(), [ATTACHMENTS[n] for n in NAMES])
