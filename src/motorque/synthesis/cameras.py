"""Random phone cameras in front of a moving person, and what they project where."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SIZES = ((1080, 1920), (720, 1280), (1920, 1080), (1280, 720), (480, 640), (640, 480))
"""Widths and heights of phones' pictures [px]; people are filmed upright as often as across."""
HEIGHT = (0.4, 2.2)
"""How high the camera stands [m]: from the floor against something to held over the head."""
DISTANCE = (2.0, 8.0)
"""How far from the person [m]."""
FOCAL = (0.6, 1.1)
"""Focal length in parts of the picture's long side: 80 to 49 degrees; phones' main cameras lie at 0.7 to 0.8."""
ROLL = 3.0
"""Largest roll [degrees]."""


@dataclass(frozen=True, eq=False)
class PhoneCameras:
    """N pinhole cameras, one for each recording; axes x right, y down, z ahead; the optical axis meets the middle.

    Args:
        size: Width and height [px], shape [N, 2].
        focal: Focal length [px], shape [N].
        rotation: Rotation from ground to the camera's axes, shape [N, 3, 3].
        translation: Ground's origin in the camera's axes [m], shape [N, 3].
    """

    size: Tensor
    focal: Tensor
    rotation: Tensor
    translation: Tensor

    def in_camera(self, points: Tensor) -> Tensor:
        """Points of ground in the camera's axes [m]; shape [N, T, K, 3] to the same."""
        return points @ self.rotation.transpose(-1, -2)[:, None] + self.translation[:, None, None]

    def project(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Where points of ground are in the picture [px], shape [N, T, K, 2], and how far ahead [m], [N, T, K]."""
        x = self.in_camera(points)
        depth = x[..., 2]
        ray = x[..., :2] / depth.clamp(min=0.05)[..., None]
        return ray * self.focal[:, None, None, None] + 0.5 * self.size[:, None, None], depth

    @property
    def up(self) -> Tensor:
        """Which way is up in the camera's axes, shape [N, 3]."""
        return self.rotation[..., 1]


def random_cameras(points: Tensor, generator: torch.Generator, *, azimuth: Tensor | None = None) -> PhoneCameras:
    """One camera for each person, placed so that the person is in the picture nearly all the time.

    It stands in any direction from the person, who may walk towards it, along it or away; a camera that sees too little
    steps back.

    Args:
        points: The person's landmarks in ground [m], shape [N, T, K, 3].
        generator: Where the randomness comes from.
        azimuth: Direction from the person to the camera about the vertical [rad], 0 along ground's +X, a quarter turn
            along -Z (as ``pelvis_rotation`` counts), shape [N]; None for any.
    """
    count = len(points)

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    if azimuth is None:
        azimuth = uniform(-torch.pi, torch.pi)
    size = torch.tensor(SIZES, dtype=points.dtype)[torch.randint(len(SIZES), (count,), generator=generator)]
    # Most phones lie in the middle of the range, so the mean of two draws.
    focal = 0.5 * (uniform(*FOCAL) + uniform(*FOCAL)) * size.amax(-1)
    height, roll = 0.5 * (uniform(*HEIGHT) + uniform(*HEIGHT)), torch.deg2rad(uniform(-ROLL, ROLL))
    distance = torch.exp(uniform(*torch.tensor(DISTANCE).log().tolist()))
    aside, tip = torch.deg2rad(uniform(-12, 12)), torch.deg2rad(3 * torch.randn(count, generator=generator))
    lower, upper = points.amin((1, 2)), points.amax((1, 2))
    middle = 0.5 * (lower + upper)
    direction = torch.stack([azimuth.cos(), torch.zeros_like(azimuth), -azimuth.sin()], -1)
    floor = lower[:, 1]
    for attempt in range(8):
        center = middle + distance[:, None] * direction
        center[:, 1] = floor + height
        cameras = _looking(center, middle, aside, tip, roll, size, focal)
        pixels, depth = cameras.project(points)
        inside = ((pixels > 0) & (pixels < size[:, None, None])).all(-1) & (depth > 1.0)
        bad = (inside.float().mean((1, 2)) < 0.985) | (depth.amin((1, 2)) < 1.0)
        if not bad.any() or attempt == 7:
            break
        distance = torch.where(bad, 1.25 * distance, distance)
        aside, tip = torch.where(bad, 0.7 * aside, aside), torch.where(bad, 0.7 * tip, tip)
    return cameras


def _looking(
    center: Tensor, target: Tensor, aside: Tensor, tip: Tensor, roll: Tensor, size: Tensor, focal: Tensor
) -> PhoneCameras:
    """Cameras at ``center`` that look at ``target``, then turned aside, tipped and rolled by angles [rad]."""
    ahead = torch.nn.functional.normalize(target - center, dim=-1)
    down = torch.tensor((0.0, -1.0, 0.0)).expand_as(ahead)
    right = torch.nn.functional.normalize(torch.linalg.cross(down, ahead), dim=-1)
    level = torch.stack([right, torch.linalg.cross(ahead, right), ahead], dim=-2)
    rotation = _about(2, roll) @ _about(0, tip) @ _about(1, aside) @ level
    return PhoneCameras(size, focal, rotation, -(rotation @ center[..., None])[..., 0])


def _about(axis: int, angle: Tensor) -> Tensor:
    """Rotation matrices about a coordinate axis; shape [N] to [N, 3, 3]."""
    rotation = torch.eye(3).repeat(len(angle), 1, 1)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation[:, i, i] = rotation[:, j, j] = angle.cos()
    rotation[:, i, j], rotation[:, j, i] = -angle.sin(), angle.sin()
    return rotation
