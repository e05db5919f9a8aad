"""A person of keypoints walking in front of synthetic cameras, for tests of what several cameras see."""

from __future__ import annotations

import numpy as np

from motorque.series import Camera, Keypoints
from motorque.vision.projection import project

MATRIX = np.array([[1500.0, 0.0, 540.0], [0.0, 1500.0, 960.0], [0.0, 0.0, 1.0]])
PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "toe")
NAMES = ("nose", *(f"{part}_{side}" for part in PARTS for side in "rl"))
HEIGHTS = dict(nose=1.6, shoulder=1.4, elbow=1.15, wrist=0.95, hip=0.9, knee=0.5, ankle=0.1, heel=0.05)
SWING = {"nose": 0.02, "shoulder": 0.05, "elbow": -0.12, "wrist": -0.25, "hip": 0.04, "knee": 0.15, "ankle": 0.3}
WIDTHS = {"shoulder": 0.18, "elbow": 0.22, "wrist": 0.25, "hip": 0.09}


def looking(angle: float, *, height: float = 1.6, name: str = "") -> Camera:
    """A camera four metres from the origin, at an angle about the vertical, that looks one metre above it."""
    center = np.array([4 * np.cos(angle), height, 4 * np.sin(angle)])
    ahead = np.array([0.0, 1.0, 0.0]) - center
    ahead /= np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    return Camera(name or f"cam{angle:.1f}", (1080, 1920), MATRIX, rotation, -rotation @ center)


def walker(times: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """Points of a person who walks along X with a cycle of 1.1 s, shape [T, K, 3]."""
    points = np.zeros((len(times), len(NAMES), 3))
    for k, name in enumerate(NAMES):
        part = name[:-2] if name[-2:] in ("_r", "_l") else name
        side = {"_r": 1.0, "_l": -1.0}.get(name[-2:], 0.0)
        phase = 2 * np.pi * times / 1.1 + (0 if side >= 0 else np.pi)
        swing = SWING.get(part, 0.32)
        points[:, k, 0] = speed * (times - 1.0) + swing * np.sin(phase) + (0.15 if part == "toe" else 0.0)
        points[:, k, 1] = HEIGHTS.get(part, 0.04) + abs(swing) * 0.3 * (1 + np.cos(phase))
        points[:, k, 2] = side * WIDTHS.get(part, 0.08)
    return points


def seen_by(
    camera: Camera, times: np.ndarray, *, clock: float = 0.0, noise: float = 0.0, seed: int = 0, speed: float = 1.0
) -> Keypoints:
    """What a camera sees whose clock is behind by ``clock`` [s]: at its time t it shows what happens at t + clock."""
    pixels = project(camera, walker(times + clock, speed))
    pixels = pixels + noise * np.random.default_rng(seed).standard_normal(pixels.shape)
    return Keypoints(times, pixels, np.ones(pixels.shape[:2]), NAMES, camera.size)
