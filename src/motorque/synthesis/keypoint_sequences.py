"""Motions of the built-in skeleton as the keypoints that a phone's video of a random person would have given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motorque.series import Camera, Keypoints
from motorque.skeleton.skeleton import Skeleton
from motorque.synthesis.cameras import PhoneCameras, random_cameras
from motorque.synthesis.detector_errors import ErrorModel, detect
from motorque.synthesis.people import LANDMARK_NAMES, People, random_people, seen_skeleton
from motorque.synthesis.smooth_noise import smooth_noise

RATE = 30.0
"""Frames per second of all sequences here."""


@dataclass(frozen=True, eq=False)
class KeypointSequences:
    """N recordings of T frames, with everything that is true of them.

    Args:
        points: What was detected [px], shape [N, T, K, 2]; NaN where nothing was.
        confidence: 0 to 1, shape [N, T, K].
        q: True coordinates of the built-in skeleton [rad or m], the root as in the world of the camera, [N, T, nq].
        pelvis: True rotation of the pelvis in ground, shape [N, T, 3, 3].
        landmarks: Where the landmarks are on these people, in ground [m], shape [N, T, K, 3].
        cameras: The cameras.
        people: The people.
    """

    points: Tensor
    confidence: Tensor
    q: Tensor
    pelvis: Tensor
    landmarks: Tensor
    cameras: PhoneCameras
    people: People

    def __len__(self) -> int:
        """Number of recordings."""
        return len(self.points)

    @property
    def pelvis_in_camera(self) -> Tensor:
        """True rotation of the pelvis to the camera's axes, shape [N, T, 3, 3]."""
        return self.cameras.rotation[:, None] @ self.pelvis

    def keypoints(self, index: int, *, world: Tensor | None = None) -> Keypoints:
        """One recording's keypoints; ``world`` are all recordings' landmarks in space, shape [N, T, K, 3]."""
        width, height = (int(side) for side in self.cameras.size[index])
        points = self.points[index].double().numpy()
        return Keypoints(
            np.arange(len(points)) / RATE,
            points,
            self.confidence[index].double().numpy(),
            LANDMARK_NAMES,
            (width, height),
            "synthetic",
            None if world is None else world[index].double().numpy(),
        )

    def camera(self, index: int) -> Camera:
        """One recording's true camera."""
        width, height = (int(side) for side in self.cameras.size[index])
        focal = float(self.cameras.focal[index])
        matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        rotation, _ = np.linalg.qr(self.cameras.rotation[index].double().numpy().T)
        rotation = rotation * np.sign((rotation * self.cameras.rotation[index].double().numpy().T).sum(0))
        return Camera(
            f"synthetic_{index}",
            (width, height),
            matrix,
            rotation.T,
            self.cameras.translation[index].double().numpy(),
        )


def seen_by_phones(
    q: Tensor,
    generator: torch.Generator,
    *,
    people: People | None = None,
    azimuth: Tensor | None = None,
    errors: ErrorModel | None = None,
) -> KeypointSequences:
    """Recordings of these motions by random people in front of random phones.

    The root's path is scaled to each person's legs; the head moves on its own.

    Args:
        q: Coordinates of :func:`motorque.skeleton.fullbody.fullbody` [rad or m] at 30 Hz, shape [N, T, nq].
        generator: Where the randomness comes from.
        people: The people; None for random ones.
        azimuth: Direction from the person to the camera against ground's +X [rad], shape [N]; None for any.
        errors: The detector's errors; None for those of :class:`ErrorModel`.
    """
    count = len(q)
    people = random_people(count, generator) if people is None else people
    skeleton = seen_skeleton()
    root = [skeleton.coordinate(f"pelvis_t{axis}") for axis in "xyz"]
    legs = 0.5 * (people.factors[:, skeleton.body("femur_r"), 1] + people.factors[:, skeleton.body("tibia_r"), 1])
    q = q.clone()
    q[..., root] = q[..., root] * legs[:, None, None]
    poses = people.poses(q)
    landmarks = people.landmarks(q, _heads(q, skeleton, generator), poses)
    cameras = random_cameras(landmarks, generator, azimuth=azimuth)
    pixels, depth = cameras.project(landmarks)
    seen = detect(pixels, depth, cameras.focal, cameras.size, generator, rate=RATE, errors=errors)
    pelvis = poses.rotation[..., skeleton.body("pelvis"), :, :]
    return KeypointSequences(seen.points, seen.confidence, q, pelvis, landmarks, cameras, people)


def _heads(q: Tensor, skeleton: Skeleton, generator: torch.Generator) -> Tensor:
    """Random rotations of the heads against the torsos, shape [N, T, 3, 3].

    The skeleton has no neck, so nothing that the head does says how the trunk turns: it is held anywhere, looks around
    and follows the trunk's lean only in part.
    """
    count, frames = q.shape[:2]
    spread = torch.deg2rad(torch.tensor((12.0, 6.0, 14.0)))  # nods, tilts, turns
    held = torch.randn(count, 1, 3, generator=generator)
    moving = smooth_noise((count, frames, 3), 10 + 20 * torch.rand(count, generator=generator), generator)
    angles = spread * (held + 0.7 * moving)
    lean = q[..., skeleton.coordinate("pelvis_tilt")] + q[..., skeleton.coordinate("lumbar_extension")]
    upright = torch.rand(count, 1, generator=generator)
    angles[..., 0] = (angles[..., 0] - upright * lean).clamp(-0.9, 0.9)
    nod, tilt, turn = angles.unbind(-1)
    c1, s1, c2, s2, c3, s3 = nod.cos(), nod.sin(), tilt.cos(), tilt.sin(), turn.cos(), turn.sin()
    # About z, then x, then y, as the back's joint does.
    return torch.stack(
        (c1 * c3 - s1 * s2 * s3, -s1 * c2, c1 * s3 + s1 * s2 * c3,
         s1 * c3 + c1 * s2 * s3, c1 * c2, s1 * s3 - c1 * s2 * c3,
         -c2 * s3, s2, c2 * c3), -1,
    ).unflatten(-1, (3, 3))  # fmt: skip
