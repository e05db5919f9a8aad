"""Error bars of what videos tell: what the fit leaves open, joints together, and what becomes of it."""

import numpy as np
import pytest
import torch

from motorque.errors import DataError
from motorque.fitting.keypoint_fit import fit_keypoints
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.fullbody import fullbody
from test_keypoint_fit import camera, see, squats


@pytest.fixture(scope="module")
def fit():
    """Squats before one camera that nobody calibrated."""
    times, _, points = squats()
    return fit_keypoints(fullbody(), [see(camera(), times, points, noise=4.0)], height=1.7, journal=Journal())


def test_posterior_has_the_standard_deviations_on_its_diagonal(fit):
    left = fit.posterior
    variance = np.diagonal(left.covariance, axis1=1, axis2=2)
    np.testing.assert_allclose(variance, fit.motion.std[:, left.columns] ** 2, rtol=1e-9)
    assert np.linalg.eigvalsh(left.own).min() > 0


def test_feet_on_the_ground_are_known_better_than_their_joints(fit):
    left, person = fit.posterior, fit.skeleton
    q = torch.as_tensor(fit.motion.values)
    at = person.body("calcn_r")
    by = np.empty((len(q), left.own.shape[1]))  # height of the right heel by each fitted coordinate
    for n, column in enumerate(left.columns):
        moved = q.clone()
        moved[:, column] += 1e-6
        shift = forward_kinematics(person, person.couple(moved)).position - forward_kinematics(person, q).position
        by[:, n] = shift[:, at, 1].numpy() / 1e-6
    together = np.sqrt(np.einsum("tn,tnm,tm->t", by, left.own, by))
    alone = np.sqrt(np.einsum("tn,tnn->t", by**2, left.own))
    assert np.median(together) < 0.5 * np.median(alone)


def test_posterior_at_other_times_lies_between_its_frames(fit):
    left = fit.posterior
    between = left.at(0.5 * (left.times[1:] + left.times[:-1]))
    np.testing.assert_allclose(between.own, 0.5 * (left.own[1:] + left.own[:-1]), atol=1e-15)
    np.testing.assert_allclose(left.at(left.times).shared, left.shared, atol=1e-15)
    with pytest.raises(DataError, match="times that the fit did not see"):
        left.at(left.times + 1.0)
