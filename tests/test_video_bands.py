"""Error bars of what videos tell: what the fit leaves open, joints together, and what becomes of it."""

import numpy as np
import pytest
import torch
from scipy.interpolate import CubicSpline

from motorque.fitting import keypoint_fit
from motorque.fitting.ground_loads import ground_estimate
from motorque.fitting.keypoint_draws import draw_errors
from motorque.fitting.keypoint_fit import fit_keypoints
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.series import Motion
from motorque.skeleton.fullbody import fullbody
from motorque.uncertainty.drawn_loads import drawn_loads
from motorque.uncertainty.motion_bands import bands_of_motion
from motorque.uncertainty.root_wrench import root_wrench
from motorque.uncertainty.torque_gain import generalized_forces
from motorque.uncertainty.video_bands import bands_of_fit, between
from motorque.workflows.smoothing import smooth
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


@pytest.fixture(scope="module")
def analysis(fit):
    """The fit's motion at even times, smoothed, with the ground forces that it tells."""
    person, raw = fit.skeleton, fit.motion
    even = np.arange(raw.times[0], raw.times[-1] + 1e-9, 1 / 60)
    std = np.stack([np.interp(even, raw.times, column) for column in raw.std.T], axis=1)
    motion = Motion(even, CubicSpline(raw.times, raw.values)(even), raw.names, std)
    motion, rate, acceleration, cutoff = smooth(person, motion, 6.0, True, Journal())
    ground = ground_estimate(person, motion, cutoff=None, journal=Journal())
    return {"motion": motion, "rate": rate, "acceleration": acceleration, "ground": ground, "cutoff": cutoff}


@pytest.fixture(scope="module")
def bands(fit, analysis):
    return bands_of_fit(fit.skeleton, posterior=fit.posterior, **analysis)


def test_draws_have_the_size_that_the_fit_tells(fit, analysis):
    left = fit.posterior
    columns = list(left.columns)
    at = np.searchsorted(analysis["motion"].times, left.times - 1e-9)
    acceleration = analysis["acceleration"][np.minimum(at, len(analysis["motion"].times) - 1)][:, columns]
    own, numbers = draw_errors(left, acceleration, 400, np.random.default_rng(0))
    told = np.sqrt(np.diagonal(left.own, axis1=1, axis2=2))
    drawn = np.sqrt((own**2).mean(2))
    # Coordinate by coordinate within a few tenths: lively ones lose less to the calmer motion than quiet ones.
    np.testing.assert_allclose(np.median(drawn / told), 1.0, atol=0.1)
    assert numbers.shape == (left.shared.shape[2], 400)
    assert np.abs(numbers.mean()) < 0.1 * left.staying
    assert numbers.std() == pytest.approx(left.staying, rel=0.05)


def test_draws_are_as_lively_as_the_motion(fit):
    left = fit.posterior
    quick = []
    for size in (1.0, 4.0):
        own, _ = draw_errors(left, np.full(left.own.shape[:2], size), 100, np.random.default_rng(1))
        quick.append(np.sqrt((np.diff(own, 2, axis=0) ** 2).mean((0, 2)))[6:])
    assert (quick[1] > 1.5 * quick[0]).all()


def test_drawn_loads_of_no_error_are_the_estimate(analysis):
    ground = analysis["ground"]
    none = np.zeros((len(analysis["motion"].times), 1, len(ground.sharing.points.spheres), 3))
    loads = drawn_loads(ground, none, none[:, :, 0], none[:, :, 0], none[:, :, 0])
    for foot, load in enumerate(ground.loads.loads):
        np.testing.assert_allclose(loads.force[:, 0, foot], load.force, atol=0.02 * ground.weight)
        on = load.force[:, 1] > 50
        np.testing.assert_allclose(loads.point[on, 0, foot], load.point[on], atol=1e-6)


def test_drawn_loads_follow_the_estimate_of_a_moved_motion(fit, analysis):
    """A lean of the trunk: what the fast rules say of it against the estimate done anew."""
    motion, ground = analysis["motion"], analysis["ground"]
    leant = motion.values.copy()
    leant[:, motion.names.index("lumbar_extension")] += np.radians(8.0)
    moved = Motion(motion.times, leant, motion.names)
    anew = ground_estimate(fit.skeleton, moved, cutoff=None, journal=Journal())
    before, after = ground.sharing.wrench, anew.sharing.wrench
    none = np.zeros((len(motion.times), 1, len(ground.sharing.points.spheres), 3))
    change = [(getattr(after, x) - getattr(before, x))[:, None] * ground.weight for x in ("force", "moment")]
    loads = drawn_loads(ground, none, none[:, :, 0], *change)
    for foot, load in enumerate(anew.loads.loads):
        old = ground.loads.loads[foot]
        wanted, found = load.point - old.point, loads.point[:, 0, foot] - old.point
        assert np.abs(wanted[:, 0]).mean() > 0.008
        assert np.abs(found[:, 0] - wanted[:, 0]).mean() < 0.1 * np.abs(wanted[:, 0]).mean()
        np.testing.assert_allclose(loads.force[:, 0, foot, 1], load.force[:, 1], atol=0.05 * ground.weight)


def test_no_draw_leaves_the_soles_or_pulls(analysis):
    ground = analysis["ground"]
    rng = np.random.default_rng(2)
    frames, points = len(analysis["motion"].times), len(ground.sharing.points.spheres)
    still = np.zeros((frames, 50, points, 3))
    force, moment = rng.normal(size=(2, frames, 50, 3)) * ground.weight * np.array([0.5, 0.3])[:, None, None, None]
    loads = drawn_loads(ground, still, still[:, :, 0], force, moment)
    assert (loads.force[..., 1] >= 0).all()
    for foot in (0, 1):
        own = ground.sharing.position[:, ground.sharing.points.foot == foot][..., [0, 2]]
        at = loads.point[:, :, foot][..., [0, 2]]
        assert (at >= own.min(1)[:, None] - 1e-9).all()
        assert (at <= own.max(1)[:, None] + 1e-9).all()
    sideways = np.linalg.norm(loads.force[..., [0, 2]], axis=-1)
    assert (sideways <= 0.8 * loads.force[..., 1] + 1e-6).all()


def test_bands_are_of_a_sensible_size(bands, analysis):
    names = list(analysis["motion"].names)
    assert np.isfinite(bands.torques).all()
    ankle, knee = (np.median(bands.torques[:, names.index(n)]) for n in ("ankle_angle_r", "knee_angle_r"))
    assert 2 < ankle < 40
    assert 2 < knee < 60
    for load in bands.loads.values():
        assert np.nanmedian(load.point[:, 0]) < 0.1
        assert 10 < np.median(load.force[:, 1]) < 250
    assert set(bands.by_source) == set(bands.included) == {"pose", "lengths and camera"}
    assert not set(bands.included) & set(bands.excluded)


def test_what_is_not_given_widens_the_bands(fit, analysis, bands):
    assumed = bands_of_fit(fit.skeleton, posterior=fit.posterior, mass_known=False, **analysis)
    assert set(assumed.included) == {"pose", "lengths and camera", "body mass"}
    tau = assumed.by_source["body mass"]["torques"]
    assert (assumed.torques >= bands.torques).all()
    assert tau.max() > 5


def test_bands_are_the_same_for_the_same_seed(fit, analysis, bands):
    again = bands_of_motion(
        fit.skeleton,
        motion=analysis["motion"],
        rate=analysis["rate"],
        acceleration=analysis["acceleration"],
        loads=analysis["ground"].loads,
        estimated=True,
        cutoff=analysis["cutoff"],
        posterior=fit.posterior,
        ground=analysis["ground"],
    )
    # To the rounding of single precision, which differs between the back ends of inverse dynamics.
    np.testing.assert_allclose(again.torques, bands.torques, rtol=1e-3, atol=1e-3)


def test_root_wrench_is_that_of_the_ground(analysis, fit):
    """The force that the root's generalized forces stand for is the one that the estimate balanced."""
    smoothed = np.stack([analysis["motion"].values, analysis["rate"], analysis["acceleration"]])
    tau = generalized_forces(fit.skeleton, smoothed, {})
    force, moment, center = root_wrench(fit.skeleton, smoothed[0], tau)
    wrench, weight, height = analysis["ground"].sharing.wrench, analysis["ground"].weight, analysis["ground"].ground
    np.testing.assert_allclose(force / weight, wrench.force, atol=0.02)
    foot = np.stack([wrench.center[:, 0], np.full(len(force), height), wrench.center[:, 1]], axis=1)
    about = (moment + np.cross(center - foot, force)) / weight
    np.testing.assert_allclose(about, wrench.moment, atol=0.01)


def test_interpolation_between_frames_is_exact_for_parabolas_inside():
    times = np.array([0.0, 0.03, 0.07, 0.1, 0.13, 0.17])
    wanted = np.linspace(0.03, 0.13, 21)
    weights = between(times, wanted)
    np.testing.assert_allclose(weights @ (2 + 3 * times), 2 + 3 * wanted, rtol=1e-6)
    even = np.arange(6) / 30
    wanted = np.linspace(even[1], even[-2], 21)
    np.testing.assert_allclose(between(even, wanted) @ even**2, wanted**2, atol=1e-8)


def test_stretches_are_drawn_as_one_recording(monkeypatch):
    monkeypatch.setattr(keypoint_fit, "LONGEST", 2.0)
    monkeypatch.setattr(keypoint_fit, "STRETCH", 1.5)
    monkeypatch.setattr(keypoint_fit, "OVERLAP", 0.5)
    monkeypatch.setattr(keypoint_fit, "SHORT", 0.5)
    times, _, points = squats()
    long = fit_keypoints(fullbody(), [see(camera(), times, points, noise=4.0)], height=1.7, journal=Journal())
    left = long.posterior
    assert len(left.stretches) > 1
    np.testing.assert_allclose(sum(_on_all(s.share, s.first, len(times)) for s in left.stretches), 1.0, atol=1e-12)
    own, _ = draw_errors(left, np.ones(left.own.shape[:2]), 200, np.random.default_rng(0))
    # What is given back as lasting makes up for the variance that is missing on average over the coordinates. Within
    # its window of the ends, where less is known from frame to frame, it is smoother than that: up to twice as much.
    ratio = ((own**2).mean(2) / np.diagonal(left.own, axis1=1, axis2=2)).mean(1)
    np.testing.assert_allclose(ratio[20:-20], 1.0, atol=0.2)
    assert 0.5 < ratio.min() and ratio.max() < 2.0


def _on_all(share, first, frames):
    whole = np.zeros(frames)
    whole[first : first + len(share)] = share
    return whole
