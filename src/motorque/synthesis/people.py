"""Random people: stature, proportions, and where on each of them a detector sees its landmarks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from motorque.mechanics.kinematics import BodyPoses, forward_kinematics, marker_positions
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.fullbody_tables import GENERIC_HEIGHT
from motorque.skeleton.skeleton import Marker, Skeleton

# Right side and middle: body, place in the generic body [m], spread of the place between people and detectors [m].
# Joints where the built-in skeleton has them (Uhlrich et al. 2022); heel and toe at the shoe's back and tip, near the
# sole. The head's three are given from the top of the neck, a joint that the skeleton has not.
_RIGHT_AND_MIDDLE: dict[str, tuple[str, tuple[float, float, float], float]] = {
    "nose": ("torso", (0.110, 0.138, 0.0), 0.015),
    "ear_r": ("torso", (0.008, 0.150, 0.076), 0.012),
    "shoulder_r": ("torso", (0.0032, 0.3715, 0.170), 0.015),
    "elbow_r": ("humerus_r", (0.0131, -0.2863, -0.0096), 0.010),
    "wrist_r": ("radius_r", (-0.0088, -0.2358, 0.0136), 0.010),
    "hip_r": ("pelvis", (-0.0563, -0.0785, 0.0773), 0.015),
    "knee_r": ("femur_r", (-0.0045, -0.4096, -0.0018), 0.012),
    "ankle_r": ("tibia_r", (-0.0100, -0.4000, 0.0), 0.010),
    "heel_r": ("calcn_r", (-0.0220, -0.0260, 0.0), 0.013),
    "toe_r": ("toes_r", (0.0520, -0.0180, 0.0), 0.015),
}
NECK = (-0.005, 0.400, 0.0)
"""Where the head turns on the torso [m]: between the acromia (``neck`` of :mod:`motorque.skeleton.landmarks`)."""


def _left(name: str) -> str:
    return f"{name[:-2]}_l" if name.endswith("_r") else name


def _both() -> dict[str, tuple[str, tuple[float, float, float], float]]:
    table = {}
    for name, (body, (x, y, z), spread) in _RIGHT_AND_MIDDLE.items():
        table[name] = (body, (x, y, z), spread)
        if name.endswith("_r"):
            table[_left(name)] = (_left(body), (x, y, -z), spread)
    return table


DETECTED = _both()
"""Body, place and spread of the landmarks that are seen, both sides, in the order of :data:`LANDMARK_NAMES`."""
LANDMARK_NAMES = tuple(DETECTED)
HEAD = tuple(LANDMARK_NAMES.index(name) for name in ("nose", "ear_r", "ear_l"))
MIRRORED = tuple(
    LANDMARK_NAMES.index(_left(name) if name.endswith("_r") else f"{name[:-2]}_r" if name.endswith("_l") else name)
    for name in LANDMARK_NAMES
)
"""For each landmark the index of the other side's."""

# Lengths that belong together: bodies (right side and middle) and axes. What is left of a person's proportions beside
# stature has 3.5 to 5 % spread in ANSUR's limb lengths (Gordon et al. 2014).
_PROPORTIONS: tuple[tuple[tuple[str, ...], tuple[int, ...], float], ...] = (
    (("pelvis",), (2,), 0.06),
    (("pelvis",), (0, 1), 0.05),
    (("femur_r",), (0, 1, 2), 0.045),
    (("tibia_r",), (0, 1, 2), 0.045),
    (("talus_r", "calcn_r", "toes_r"), (0, 1, 2), 0.05),
    (("torso",), (0, 1), 0.04),
    (("torso",), (2,), 0.055),
    (("humerus_r",), (0, 1, 2), 0.045),
    (("ulna_r", "radius_r"), (0, 1, 2), 0.045),
)
# What each of them adds to the generic man's stature [m]: foot below the ankle, shank, thigh, hip to the lumbar joint,
# from there to the vertex (frames of the built-in skeleton).
_STATURE = {("calcn_r", 1): 0.08, ("tibia_r", 1): 0.40, ("femur_r", 1): 0.41, ("pelvis", 1): 0.16, ("torso", 1): 0.58}


@cache
def seen_skeleton() -> Skeleton:
    """The built-in skeleton with the detector's landmarks as its markers, without bodies that carry none, float32.

    Coordinates are all there, in their order. The head's landmarks are given from :data:`NECK`.
    """
    generic = fullbody()
    markers = [Marker(name, generic.body(body)) for name, (body, _, _) in DETECTED.items()]
    places = torch.tensor([place for _, place, _ in DETECTED.values()], dtype=generic.mass.dtype)
    return generic.with_markers(markers, places).bearing_markers().to(dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class People:
    """N people.

    Args:
        skeleton: :func:`seen_skeleton` whose lengths and marker positions have a batch, shapes [N, 1, B or M, 3].
        factors: What the lengths were multiplied by, shape [N, B, 3].
        height: Their statures [m], shape [N].
    """

    skeleton: Skeleton
    factors: Tensor
    height: Tensor

    def poses(self, q: Tensor) -> BodyPoses:
        """Where their bodies are; ``q`` [rad or m], shape [N, T, nq]."""
        return forward_kinematics(self.skeleton, q)

    def landmarks(self, q: Tensor, head: Tensor | None = None, poses: BodyPoses | None = None) -> Tensor:
        """Where a detector sees their landmarks, in ground.

        Args:
            q: Coordinates [rad or m], shape [N, T, nq].
            head: Rotation of the head against the torso, shape [N, T, 3, 3]; None for none.
            poses: The bodies' poses where they are known already.

        Returns:
            [m], shape [N, T, K, 3], in the order of :data:`LANDMARK_NAMES`.
        """
        poses = self.poses(q) if poses is None else poses
        points = marker_positions(self.skeleton, q, poses)
        torso = self.skeleton.body("torso")
        neck = (torch.tensor(NECK, dtype=q.dtype) * self.factors[:, torso])[:, None, None]
        place = self.skeleton.marker_position[..., list(HEAD), :]
        if head is not None:
            place = (head[:, :, None] @ place[..., None])[..., 0]
        on_torso = (poses.rotation[..., torso, None, :, :] @ (neck + place)[..., None])[..., 0]
        points = points.clone()
        points[..., list(HEAD), :] = poses.position[..., torso, None, :] + on_torso
        return points


def random_people(count: int, generator: torch.Generator, *, height: Tensor | None = None) -> People:
    """People of 1.45 to 2.0 m with symmetric random proportions and random places of landmarks.

    Args:
        count: How many.
        generator: Where the randomness comes from.
        height: Their statures [m], shape [N], where they are not to be random.
    """
    if height is None:
        height = (1.71 + 0.10 * torch.randn(count, generator=generator)).clamp(1.45, 2.0)
    skeleton = seen_skeleton()
    factors = torch.ones(count, len(skeleton.body_names), 3)
    for bodies, axes, spread in _PROPORTIONS:
        stretch = torch.exp(spread * torch.randn(count, generator=generator))
        for body in {side for name in bodies for side in (name, _left(name))}:
            for axis in axes:
                factors[:, skeleton.body(body), axis] = stretch
    share = torch.tensor(list(_STATURE.values()))
    parts = torch.stack([factors[:, skeleton.body(body), axis] for body, axis in _STATURE], -1)
    stature = GENERIC_HEIGHT * (parts * share).sum(-1) / share.sum()
    factors = factors * (height / stature)[:, None, None]
    return People(_stretched(skeleton, factors, _random_places(count, generator)), factors, height)


def generic_people(count: int) -> People:
    """The generic man of 1.70 m, ``count`` times, with every landmark at its mean place."""
    skeleton = seen_skeleton()
    factors = torch.ones(count, len(skeleton.body_names), 3)
    return People(
        _stretched(skeleton, factors, torch.zeros(count, len(DETECTED), 3)), factors, torch.full((count,), 1.70)
    )


def _random_places(count: int, generator: torch.Generator) -> Tensor:
    """Random shifts of the landmarks in their bodies [m], shape [N, K, 3]: mostly the same on both sides, mirrored."""
    spread = torch.tensor([spread for _, _, spread in DETECTED.values()])[:, None]
    shared = torch.randn(count, len(DETECTED), 3, generator=generator)
    own = torch.randn(count, len(DETECTED), 3, generator=generator)
    for index, name in enumerate(LANDMARK_NAMES):
        if name.endswith("_l"):
            shared[:, index] = shared[:, MIRRORED[index]] * torch.tensor((1.0, 1.0, -1.0))
    return spread * (0.9 * shared + 0.45 * own)


def _stretched(skeleton: Skeleton, factors: Tensor, shift: Tensor) -> Skeleton:
    """The skeleton with every length times its body's factors (as ``scale_lengths`` does), one for each person."""
    table = torch.cat([factors, torch.ones_like(factors[:, :1])], 1)  # ground, index -1, is never scaled
    carrier = torch.tensor(skeleton.parents)
    along = (skeleton.parent_rotation @ skeleton.translation_axes.transpose(-1, -2)).square()
    slide = (along * table[:, carrier][..., None]).sum(-2)
    return dataclasses.replace(
        skeleton,
        parent_position=(skeleton.parent_position * table[:, carrier])[:, None],
        child_position=(skeleton.child_position * factors)[:, None],
        translation_scale=(skeleton.translation_scale * slide)[:, None],
        marker_position=(skeleton.marker_position * table[:, skeleton.marker_body] + shift)[:, None],
    )
