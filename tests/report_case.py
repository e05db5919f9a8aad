"""Analyses with a known answer, for the tests of the report: a walker whose every step is prescribed."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from motorque.journal import Journal
from motorque.mechanics.kinematics import center_of_mass, forward_kinematics, marker_positions
from motorque.report import Analysis, InputFile, Subject
from motorque.series import Kinetics, Load, Loads, Markers, Motion, Scales
from motorque.skeleton.fullbody import fullbody

SPEED, STRIDE, STANCE, WIDTH = 1.2, 1.1, 0.62, 0.16  # m/s, s, share of the stride, m
STRIKE = {"r": 0.25, "l": 0.25 + STRIDE / 2}  # first heel strikes [s]


def heel_path(times: np.ndarray, side: str, *, stance: float = STANCE) -> np.ndarray:
    """Heel forward and up [m], shape [T, 2]: still on the ground in stance, at one speed to the next place in swing.

    So the heel is farthest ahead of the pelvis exactly at heel strike and farthest behind at toe off. At heel strike it
    is 0.3 m ahead of the pelvis, which moves at ``SPEED``.
    """
    stride, phase = np.divmod((times - STRIKE[side]) / STRIDE, 1.0)
    swing = np.clip((phase - stance) / (1 - stance), 0.0, 1.0)
    place = SPEED * (stride * STRIDE + STRIKE[side]) + 0.3
    forward = place + SPEED * STRIDE * swing
    return np.stack([forward, 0.08 * np.sin(np.pi * swing) ** 2], axis=1)


def turned(points: np.ndarray, heading: float) -> np.ndarray:
    """Points turned about the vertical, so that forward points ``heading`` [rad] from X towards Z."""
    c, s = np.cos(heading), np.sin(heading)
    return points @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]).T


def still_case(times: np.ndarray) -> Analysis:
    """The built-in skeleton standing, with everything that a report can show and nothing that moves."""
    skeleton = fullbody(mass=70.0)
    q = skeleton.default_pose.expand(len(times), -1).clone()
    return case_from(skeleton, times, q)


def case_from(skeleton, times: np.ndarray, q: torch.Tensor) -> Analysis:
    """An analysis of given coordinates: derivatives by differences, markers on the model with a known error of 5 mm."""
    poses = forward_kinematics(skeleton, q)
    markers = marker_positions(skeleton, q, poses).numpy()
    velocity = np.gradient(q.numpy(), times, axis=0)
    names = skeleton.coordinate_names
    return Analysis(
        title="A walk",
        skeleton=skeleton,
        subject=Subject(70.0, "given", 1.75, "given", "f", "given"),
        motion=Motion(times, q.numpy(), names),
        velocity=velocity,
        acceleration=np.gradient(velocity, times, axis=0),
        body_rotation=poses.rotation.numpy(),
        body_position=poses.position.numpy(),
        center_of_mass=center_of_mass(skeleton, poses).numpy(),
        markers=Markers(times, markers + np.array([0.003, 0.004, 0.0]), skeleton.marker_names),
        marker_names=skeleton.marker_names,
        model_markers=markers,
        marker_errors=np.full(markers.shape[:2], 0.005),
        kinetics=Kinetics(times, np.zeros((len(times), skeleton.nq)), names),
        scales=Scales(skeleton.body_names, np.ones((len(skeleton.body_names), 3))),
        inputs=(InputFile("walk.trc", "recording", "0" * 64),),
        settings={"cutoff_hz": 6.0},
        versions={"numpy": np.__version__},
        command="motorque analyze walk.trc --out out/",
        journal=Journal(),
        timings={"ik": 0.5},
    )


def walk_case(
    duration: float = 6.0,
    *,
    rate: float = 100.0,
    heading: float = 0.0,
    treadmill: bool = False,
    stance: float = STANCE,
    plates: tuple[str, ...] = (),
) -> Analysis:
    """A walk whose heel strikes come every ``STRIDE`` from ``STRIKE`` on and whose toes leave at ``stance`` of it.

    Args:
        duration: Length [s].
        rate: Frames per second.
        heading: Direction from X towards Z [rad].
        treadmill: Whether the room moves with the pelvis.
        stance: Share of the stride on the ground.
        plates: Sides whose force is measured: 1.1 body weights from heel strike to toe off.
    """
    times = np.arange(round(duration * rate) + 1) / rate
    analysis = still_case(times)
    position = analysis.body_position.copy()
    carried = SPEED * times if treadmill else np.zeros_like(times)
    names = analysis.skeleton.body_names
    z = np.zeros_like(times)
    position[:] += np.stack([SPEED * times - carried, z, z], axis=1)[:, None]
    position[:, names.index("pelvis")] = np.stack([SPEED * times - carried, z + 0.95, z], axis=1)
    loads = []
    for side, lateral in (("r", WIDTH / 2), ("l", -WIDTH / 2)):
        heel = heel_path(times, side, stance=stance)
        at = np.stack([heel[:, 0] - carried, heel[:, 1] + 0.03, z + lateral], axis=1)
        position[:, names.index(f"calcn_{side}")] = at
        position[:, names.index(f"toes_{side}")] = at + [0.18, 0.0, 0.0]
        phase = np.mod((times - STRIKE[side]) / STRIDE, 1.0)
        force = np.stack([z, np.where(phase < stance, 1.1 * analysis.weight, 0.0), z], axis=1)
        if side in plates:
            point = np.where((phase < stance)[:, None], at + [0.05, 0.0, 0.0], np.nan)
            loads.append(Load(f"plate_{side}", f"calcn_{side}", force, point, np.zeros_like(force)))
    return dataclasses.replace(
        analysis,
        body_position=turned(position, heading),
        center_of_mass=turned(position[:, names.index("pelvis")], heading),
        loads=Loads(times, tuple(loads)) if loads else None,
        loads_measured=bool(loads),
    )


def busy_case(duration: float = 10.0, rate: float = 100.0) -> Analysis:
    """A walk in which every coordinate swings and every torque follows: what a whole report looks like."""
    analysis = walk_case(duration, rate=rate, plates=("r", "l"))
    skeleton, times = analysis.skeleton, analysis.times
    q = skeleton.default_pose.expand(len(times), -1).clone()
    for k, coordinate in enumerate(skeleton.coordinates):
        if coordinate.rotational:
            shift = STRIKE["l" if coordinate.name.endswith("_l") else "r"]
            amplitude = 0.5 if "knee" in coordinate.name or "hip_flexion" in coordinate.name else 0.1
            wave = amplitude * np.sin(2 * np.pi * (times - shift) / STRIDE + 0.3 * k)
            q[:, k] += torch.as_tensor(wave + (0.5 if "knee" in coordinate.name else 0.0))
    q = skeleton.couple(q)
    moving = case_from(skeleton, times, q)
    rng = np.random.default_rng(1)
    torque = 40.0 * np.cos(2 * np.pi * times[:, None] / STRIDE + np.arange(skeleton.nq))
    torque[:, :6] = rng.normal(0.0, 3.0, (len(times), 6))
    return dataclasses.replace(
        moving,
        body_position=analysis.body_position,
        center_of_mass=analysis.center_of_mass,
        loads=analysis.loads,
        loads_measured=True,
        kinetics=Kinetics(times, torque, skeleton.coordinate_names, std=np.full_like(torque, 2.0)),
        motion=Motion(times, q.numpy(), skeleton.coordinate_names, std=np.full(q.shape, 0.02)),
    )
