"""What is tested: recordings of people whom the weights never saw, put on one body, in conditions that change it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.closing import exp_vectors
from motorque.estimators.inpose.library import Library, Movement
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.tree import JOINTS, PARENTS, RATE, THREE, WINDOW, matrices, places
from motorque.studies.inpose.bodies import default_body, on_body, shaped
from motorque.studies.inpose.measures import UPPER

SENSORS = tuple(JOINTS[joint] for joint in THREE)
SHORTEST_BONE = 0.01
"""What wrong lengths are kept above [m]."""


@dataclass(frozen=True)
class Shape:
    """A body, by factors of the default one's bones (:func:`motorque.studies.inpose.bodies.shaped`).

    Args:
        whole: Of all bones.
        upper: Of those above the pelvis.
        arms: Of those from collars to wrists.
        torso: Of the spine's.
        bent: Slope of the bones above the pelvis out of the frontal plane, in which all of the default body's lie:
            forward to joints of odd numbers, backward to the others.
    """

    whole: float = 1.0
    upper: float = 1.0
    arms: float = 1.0
    torso: float = 1.0
    bent: float = 0.0

    @property
    def rest(self) -> Tensor:
        """Rest joints [m], shape [22, 3]."""
        rest = shaped(default_body(), whole=self.whole, upper=self.upper, arms=self.arms, torso=self.torso)
        found = [rest[0]]
        for joint, parent in enumerate(PARENTS[1:], 1):
            bone = rest[joint] - rest[parent]
            ahead = self.bent * float(bone.norm()) * (1 if joint % 2 else -1) if joint in UPPER else 0.0
            found.append(found[parent] + bone + bone.new_tensor((0.0, 0.0, ahead)))
        return torch.stack(found)

    def __str__(self) -> str:
        parts = (("whole body", self.whole), ("upper body", self.upper), ("arms", self.arms), ("torso", self.torso))
        said = [f"{name} × {factor:g}" for name, factor in parts if factor != 1.0]
        return ", ".join([*said, *([f"bones bent by {self.bent:g}"] if self.bent else [])]) or "default shape"


@dataclass(frozen=True)
class Condition:
    """What is changed in a test.

    Args:
        shape: Whose bones move.
        place_noise: Standard deviation of measured places in each direction, frame by frame [m].
        rotation_noise: The same of measured rotations, as rotation vectors in the sensor's axes [rad].
        bone_error: Standard deviation of the lengths that methods are told, bone by bone [m].
        sensors: Joints whose place and rotation are measured.
    """

    shape: Shape = field(default_factory=Shape)
    place_noise: float = 0.0
    rotation_noise: float = 0.0
    bone_error: float = 0.0
    sensors: tuple[str, ...] = SENSORS

    @property
    def name(self) -> str:
        """What it is called in files: the same for the same condition."""
        parts = [str(self.shape)]
        if self.place_noise:
            parts.append(f"place noise {100 * self.place_noise:g} cm")
        if self.rotation_noise:
            parts.append(f"rotation noise {np.degrees(self.rotation_noise):.4g}°")
        if self.bone_error:
            parts.append(f"bone errors {100 * self.bone_error:g} cm")
        if self.sensors != SENSORS:
            parts.append("sensors " + " ".join(self.sensors))
        return "; ".join(parts)


DEFAULT = Condition()


@dataclass(frozen=True)
class Trial:
    """A stretch of a recording on the default body.

    Args:
        name: The recording's.
        subject: Who moves.
        activity: What is done.
        rotations: Global rotations, shape [T, 22, 3, 3], float64.
        pelvis: Where the pelvis is, over a floor at y = 0 [m], shape [T, 3].
    """

    name: str
    subject: str
    activity: str
    rotations: Tensor
    pelvis: Tensor

    def seed(self, seed: int = 0) -> int:
        """A seed of its own, whatever else is tested."""
        return zlib.crc32(f"{self.name} {seed}".encode())

    def way(self, shape: Shape) -> Tensor:
        """Where a body's pelvis is [m], shape [T, 3]: the whole body's factor is the way's too."""
        return self.pelvis * shape.whole

    def measured(self, condition: Condition, *, seed: int = 0) -> Measured:
        """What sensors say in a condition; one draw of noise for each recording, only its size changes.

        Args:
            condition: What is changed.
            seed: Of the noise.
        """
        rest = condition.shape.rest
        six = torch.cat([self.rotations[..., 0], self.rotations[..., 1]], dim=-1)
        points = places(six, rest, self.way(condition.shape))
        generator = torch.Generator().manual_seed(self.seed(seed))

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        frames = len(six)
        places_off, turns_off, bones_off = draw(frames, 22, 3), draw(frames, 22, 3), draw(22)
        points = points + condition.place_noise * places_off
        turns = self.rotations @ exp_vectors(condition.rotation_noise * turns_off)
        six = torch.cat([turns[..., 0], turns[..., 1]], dim=-1)
        seen = torch.zeros(frames, len(JOINTS), dtype=torch.bool)
        seen[:, [JOINTS.index(name) for name in condition.sensors]] = True
        told = with_errors(rest, condition.bone_error * bones_off) if condition.bone_error else rest
        nothing = six.new_zeros(())
        return Measured(
            torch.where(seen[..., None], six, nothing).float(),
            seen,
            torch.where(seen[..., None], points, nothing).float(),
            seen.clone(),
            told.float(),
            True,
        )


def with_errors(rest: Tensor, errors: Tensor) -> Tensor:
    """Rest joints with bones longer or shorter, not below :data:`SHORTEST_BONE`.

    Args:
        rest: Rest joints from the pelvis on [m], shape [22, 3].
        errors: By how much the bone that ends in each joint is longer [m], shape [22]; the first counts for nothing.
    """
    found = [rest[0]]
    for joint, parent in enumerate(PARENTS[1:], 1):
        bone = rest[joint] - rest[parent]
        length = bone.norm()
        found.append(found[parent] + bone * ((length + errors[joint]).clamp(min=SHORTEST_BONE) / length))
    return torch.stack(found)


def trials(
    library: Library, subjects: Sequence[str], *, seconds: float | None = None, most: int | None = None
) -> list[Trial]:
    """What is tested: the middle of each recording of some people, on the default body.

    Args:
        library: Where the recordings are.
        subjects: Whose.
        seconds: How long the stretches are at most [s]; the whole recordings if None.
        most: How many of each person's recordings at most, evenly among them; all if None.

    Raises:
        DataError: A subject has no recording.
    """
    found = []
    for subject in subjects:
        own = [m for m in library.movements if m.subject == subject]
        if not own:
            there = sorted({m.subject for m in library.movements if m.subject})
            raise DataError(f"data: no recording of {subject!r}; there are {', '.join(there) or 'no known people'}")
        some = np.linspace(0, len(own) - 1, min(len(own), most or len(own))).round().astype(int)
        found += [_trial(library, own[number], seconds) for number in some]
    return found


def _trial(library: Library, movement: Movement, seconds: float | None) -> Trial:
    rows = slice(movement.first, movement.first + movement.frames)
    six = torch.from_numpy(np.array(library.rotations[rows])).double()
    pelvis = torch.from_numpy(np.array(library.pelvis[rows])).double()
    pelvis = on_body(six, pelvis, torch.tensor(movement.rest, dtype=torch.float64), default_body())
    most = movement.frames if seconds is None else max(WINDOW, round(seconds * RATE))
    first = max(0, (movement.frames - most) // 2)
    part = slice(first, min(movement.frames, first + most))
    return Trial(movement.name, movement.subject, movement.activity, matrices(six[part]), pelvis[part])
