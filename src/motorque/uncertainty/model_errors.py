"""What a model that is not quite the person does to the torques: options, by default not in the band.

Their sizes do not show in a recording; they are taken from the literature and can be given. Each is constant over the
recording, so that it shifts or stretches a curve rather than making it noisy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.mechanics.joint_reactions import joint_reactions
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.speeds import speeds_from_rates
from motorque.mechanics.twists import coordinate_bodies, joint_axes
from motorque.series import Loads
from motorque.skeleton.skeleton import GROUND
from motorque.uncertainty.propagate import Chain, Spread
from motorque.uncertainty.torque_gain import TorqueGain, generalized_forces

Array = NDArray[np.float64]

MODEL_SOURCES = ("segment masses", "joint centres", "centre of pressure")
"""What a model's errors are made of."""


@dataclass(frozen=True)
class ModelErrors:
    """Standard deviations of what a model takes as known.

    Args:
        mass: Of each segment's mass, its inertia with it, as a share of it. Sets of published segment parameters differ
            by about a tenth from each other (Pearsall and Costigan, Gait & Posture 9 (1999) 173-183; Rao et al.,
            J Biomech 39 (2006) 1531-1536).
        joint_center: Of each joint's centre, per axis [m]. Hip centres from regressions are off by 15 to 30 mm in all
            (Leardini et al., J Biomech 32 (1999) 99-103; Stagni et al., J Biomech 33 (2000) 1479-1487, who moved it by
            30 mm), which is 10 to 15 mm per axis.
        pressure: Of each plate's centre of pressure, per horizontal axis [m]: 2 to 5 mm after a spot check of the
            plates (McCaw and DeVita, J Biomech 28 (1995) 985-988, who took 5 and 10 mm).
    """

    mass: float = 0.10
    joint_center: float = 0.010
    pressure: float = 0.005


def model_spreads(chain: Chain, gain: TorqueGain, loads: Loads, errors: ModelErrors) -> dict[str, Spread]:
    """Variances of torques and loads from each of :data:`MODEL_SOURCES`; angles are left as they are.

    Args:
        chain: The chain.
        gain: Its derivatives.
        loads: Loads at its frames, measured ones.
        errors: How large the errors are.
    """
    return {
        "segment masses": _of_masses(chain, gain, errors.mass),
        "joint centres": _of_centers(chain, gain, errors.joint_center),
        "centre of pressure": _of_pressure(chain, gain, loads, errors.pressure),
    }


def _none(chain: Chain, gain: TorqueGain) -> Spread:
    return Spread(np.zeros(chain.motion.shape[1:]), np.zeros(gain.motion.shape[1:3]))


def _of_masses(chain: Chain, gain: TorqueGain, size: float) -> Spread:
    """Inverse dynamics is linear in masses and inertias: one evaluation for each segment, its own weight alone."""
    skeleton, torque = chain.skeleton, np.zeros(gain.motion.shape[1:3])
    for body in range(len(skeleton.body_names)):
        if float(skeleton.mass[body]) == 0:
            continue
        only = torch.zeros_like(skeleton.mass)
        only[body] = 1.0
        alone = dataclasses.replace(skeleton, mass=skeleton.mass * only, inertia=skeleton.inertia * only[:, None, None])
        change = generalized_forces(alone, chain.motion, {})[..., None]
        if chain.following is not None:
            change = chain.following(change)
        torque += (size * change[..., 0]) ** 2
    return Spread(np.zeros(chain.motion.shape[1:]), torque)


def _of_centers(chain: Chain, gain: TorqueGain, size: float) -> Spread:
    """A joint's moment about another centre differs by the force through the joint times the distance.

    The other joints, and the angles that a moved centre would give, are left as they are.
    """
    skeleton, torque = chain.skeleton, np.zeros(gain.motion.shape[1:3])
    q, rate, acceleration = (torch.as_tensor(x) for x in chain.motion)
    speeds = speeds_from_rates(skeleton, q, rate, acceleration)
    wrenches = {b: (torch.as_tensor(w[:, :3]), torch.as_tensor(w[:, 3:])) for b, w in chain.wrenches.items()}
    force = joint_reactions(skeleton, q, *speeds, loads=wrenches).force.numpy()
    axes = joint_axes(skeleton, q, forward_kinematics(skeleton, q)).rotation.numpy()
    for coordinate, body in enumerate(coordinate_bodies(skeleton)):
        if skeleton.parents[body] == GROUND or not skeleton.coordinates[coordinate].rotational:
            continue
        elements = [e for e in range(3) if skeleton.joints[body].elements[e].coordinate == coordinate]
        if elements:
            arm = np.cross(axes[:, body, elements[0]], force[:, body])
            torque[:, coordinate] = size**2 * (arm**2).sum(-1)
    return Spread(np.zeros(chain.motion.shape[1:]), torque)


def _of_pressure(chain: Chain, gain: TorqueGain, loads: Loads, size: float) -> Spread:
    result = _none(chain, gain)
    if chain.following is not None:
        return result
    wrenches = {}
    for load in loads.loads:
        covariance = np.zeros((len(load.force), 6, 6))
        for axis in (np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])):
            moment = size * np.cross(axis, load.force)
            result.torques[:] += np.einsum("tvc,tc->tv", gain.loads[load.body][..., 3:], moment) ** 2
            covariance[:, 3:, 3:] += moment[:, :, None] * moment[:, None]
        wrenches[load.name] = covariance
    return Spread(result.angles, result.torques, wrenches)
