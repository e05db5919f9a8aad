"""Somebody who walks or stands, and what a head-set says of them: what tests of feet on the ground start from."""

from __future__ import annotations

import numpy as np
import torch

from motorque.estimators.inpose.closing import exp_vectors
from motorque.estimators.inpose.contact_chance import SOLES, sole_heights
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import HEAD, JOINTS, RATE, places
from motorque.skeleton.smpl import rest_joints

REST = np.array(rest_joints(height=1.7))[:22] - np.array(rest_joints(height=1.7))[0]
LEGS = [JOINTS.index(f"{side}_{name}") for side in ("left", "right") for name in ("hip", "knee", "ankle", "foot")]


def walk(frames: int = 180, *, speed: float = 0.9, period: float = 1.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Somebody who walks ahead in z with flat feet that stand 60 % of the time: rotations, pelvis, and who stands.

    Hips and knees follow from where the pelvis and the ankles are to be, by the law of cosines.
    """
    time = np.arange(frames) / RATE
    turns = np.tile(np.eye(3), (frames, 22, 1, 1))
    thigh, shank = REST[1, 1] - REST[4, 1], REST[4, 1] - REST[7, 1]
    pelvis = np.stack([0 * time, 0.0 * time, speed * time], axis=-1)
    pelvis[:, 1] = 0.9 * (thigh + shank) - REST[1, 1] + sole_heights(REST)[0]
    pelvis[:, 1] += 0.015 * np.sin(4 * np.pi * time / period + 0.6)
    stands = np.zeros((frames, 2), bool)
    for side, late in ((0, 0.0), (1, 0.5)):
        phase = time / period + late
        swing = np.clip((phase % 1 - 0.6) / 0.4, 0, 1)
        stands[:, side] = swing == 0
        # The foot lands as far ahead of the hip as it leaves it behind
        ankle_z = speed * period * (np.floor(phase) - late + 0.3 + (10 * swing**3 - 15 * swing**4 + 6 * swing**5))
        ankle_y = sole_heights(REST)[0] + 0.12 * np.sin(np.pi * swing) ** 2
        hip = pelvis + REST[1 + side]
        y, z = ankle_y - hip[:, 1], ankle_z - hip[:, 2]
        reach = np.minimum(np.hypot(y, z), 0.999 * (thigh + shank))
        forward = np.arctan2(z, -y)
        knee = np.arccos((thigh**2 + reach**2 - shank**2) / (2 * thigh * reach))
        upper = forward + knee
        lower = np.arctan2(
            reach * np.sin(forward) - thigh * np.sin(upper), reach * np.cos(forward) - thigh * np.cos(upper)
        )
        for joint, angle in ((1 + side, upper), (4 + side, lower)):
            vectors = torch.tensor(np.stack([-angle, 0 * angle, 0 * angle], axis=-1))
            turns[:, joint] = exp_vectors(vectors).numpy()
    return turns, pelvis, stands


def points_of(turns: np.ndarray, pelvis: np.ndarray, rest: np.ndarray = REST) -> np.ndarray:
    six = torch.tensor(np.concatenate([turns[..., 0], turns[..., 1]], axis=-1))
    return places(six, torch.tensor(rest), torch.tensor(pelvis)).numpy()


def measured(points: np.ndarray, *, scale: float = 1.0, placed: bool = True) -> Measured:
    """What a head-set says."""
    there = torch.zeros(len(points), 22, dtype=torch.bool)
    there[:, HEAD] = True
    six = torch.zeros(len(points), 22, 6)
    return Measured(
        six, torch.zeros_like(there), torch.tensor(scale * points), there, torch.tensor(scale * REST), placed
    )


def perturbed(turns: np.ndarray) -> np.ndarray:
    """Legs off by what changes slowly, as samples' are."""
    time = np.arange(len(turns))[:, None] / RATE
    rng = np.random.default_rng(2)
    vectors = np.zeros((len(turns), 22, 3))
    for joint in LEGS:
        waves = np.sin(2 * np.pi * rng.uniform(0.6, 1.6, 3) * time + rng.uniform(0, 6, 3))
        vectors[:, joint] = waves * (0.15, 0.05, 0.05)
    return np.asarray(exp_vectors(torch.tensor(vectors)).numpy() @ turns)


def placed(turns: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where joints are when the head is in its place [m]."""
    found = points_of(turns, np.zeros((len(turns), 3)))
    return found + (points - found)[:, HEAD : HEAD + 1]


def off_legs(turns: np.ndarray, points: np.ndarray) -> float:
    """Mean distance of the legs' joints from the truth when the head is in its place [m]."""
    return float(np.linalg.norm(placed(turns, points) - points, axis=-1)[:, LEGS].mean())


def slides(turns: np.ndarray, points: np.ndarray, stands: np.ndarray) -> float:
    """Mean speed of ankles that stand [m/s]."""
    speed = RATE * np.linalg.norm(np.diff(placed(turns, points)[:, [7, 8]], axis=0), axis=-1)
    return float(speed[stands[1:] & stands[:-1]].mean())


def sinks(turns: np.ndarray, points: np.ndarray) -> float:
    """How deep soles are under the floor beyond a centimetre, on average of all points and frames [m]."""
    return float(np.maximum(sole_heights(REST) - 0.01 - placed(turns, points)[:, SOLES, 1], 0).mean())


def angles(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Angles between rotations [deg]."""
    cosine = 0.5 * (np.einsum("tjab,tjab->tj", one, other) - 1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def standing(height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Somebody who stands in the T-pose, the soles so high over the floor [m]: rotations and points."""
    turns = np.tile(np.eye(3), (len(height), 22, 1, 1))
    pelvis = np.zeros((len(height), 3))
    pelvis[:, 1] = height + sole_heights(REST)[0] - REST[7, 1]
    return turns, points_of(turns, pelvis)
