"""Bodies while they move: the last 41 frames are looked at again and again, and bodies come out a little later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.bodies import pelvis_of
from motorque.estimators.inpose.contact_guidance import planted
from motorque.estimators.inpose.long_sampling import Measured, sample_recording
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.sensor_offsets import at_joints
from motorque.estimators.inpose.stream_input import Device, Measurements
from motorque.estimators.inpose.tree import JOINTS, RATE, WINDOW, matrices

if TYPE_CHECKING:
    from motorque.estimators.inpose.drawing import SamplingSettings

Array = NDArray[np.float64]


class Body(NamedTuple):
    """A body in one frame.

    Args:
        frame: Number of the frame, from 0.
        rotations: Global rotations, shape [22, 3, 3].
        pelvis: Where the pelvis is [m], shape [3].
    """

    frame: int
    rotations: Array
    pelvis: Array


class Stream:
    """A stream of bodies; made by :meth:`motorque.estimators.inpose.inpose.InPose.stream`.

    The noise that a frame begins from is its own, whatever window it is looked at in, and looks at the same frame are
    averaged: the same input gives the same bodies, and they do not jump from one look to the next.

    Args:
        network: The prior.
        joints: Names of the tracked joints.
        rest: Rest joints [m], shape [24, 3].
        floor: Height of the floor [m], or None.
        settings: How bodies are sampled.
        finish: What closes samples on the measurements.
        seed: Of the noise.
        hop: Frames between two looks.
        delay: Frames that the newest body is behind the newest frame at a look.
        offsets: Where sensors are in their joints' axes [m], shape [22, 3]; in the joints by default.
        device: In what measurements are said; in SMPL's axes and metres by default.

    Raises:
        DataError: There is no such joint, or hop and delay are not within a window.
    """

    def __init__(
        self,
        network: PriorNetwork,
        joints: tuple[str, ...],
        rest: Array,
        *,
        floor: float | None,
        settings: SamplingSettings,
        finish: Callable[[Tensor, Measured, SamplingSettings], Tensor],
        seed: int,
        hop: int,
        delay: int,
        offsets: Tensor | None = None,
        device: Device | None = None,
    ) -> None:
        unknown = [name for name in joints if name not in JOINTS]
        if unknown or not joints or len(set(joints)) < len(joints):
            raise DataError(f"stream: give joints once each, of {', '.join(JOINTS)}; got {', '.join(joints) or 'none'}")
        if not (1 <= hop and 0 <= delay and hop + delay <= WINDOW):
            raise DataError(f"stream: hop {hop} and delay {delay} must fit into a window of {WINDOW} frames")
        self.network, self.settings, self.finish = network, settings, finish
        self.joints, self.rest, self.floor = joints, rest, floor
        self.seed, self.hop, self.delay = seed, hop, delay
        self.offsets = torch.zeros(len(JOINTS), 3) if offsets is None else offsets
        self.device = device or Device()
        self._first: list[Measurements] = []  # until they are seen to be plausible
        self._frames = 0
        self._out = 0
        self._six = torch.zeros(WINDOW, len(JOINTS), 6)
        self._points = torch.zeros(WINDOW, len(JOINTS), 3)
        self._seen = torch.zeros(WINDOW, len(JOINTS), dtype=torch.bool)
        self._there = torch.zeros(WINDOW, len(JOINTS), dtype=torch.bool)
        self._sum = torch.zeros(WINDOW, len(JOINTS), 6)
        self._weight = torch.zeros(WINDOW)
        self._facing: tuple[int, Tensor] | None = None  # the rotation that was measured last
        self._pelvis: Array | None = None  # of the body that came out last

    @property
    def latency(self) -> tuple[float, float]:
        """How far a body is behind its frame at least and at most, without the time to compute it [s]."""
        return self.delay / RATE, (self.delay + self.hop - 1) / RATE

    def push(self, sensors: Measurements) -> list[Body]:
        """A frame's measurements in, bodies out: none, or those of ``hop`` frames.

        Args:
            sensors: By joint, its place, shape [3], and its global rotation, shape [3, 3], in the device's axes and
                unit: in SMPL's axes with y up and metres if nothing was said of them. None where not measured; joints
                that are left out are not measured in this frame.

        Raises:
            DataError: A joint that is not among the stream's, a shape that is none, a matrix that is no rotation, or
                with the first window's last frame that nobody can have moved like this: in another unit, or with axes
                of another convention. The stream is then as it was before.
        """
        read = self.device.read({name: _measurement(name, given, self.joints) for name, given in sensors.items()})
        if self._frames < WINDOW - 1:
            self._first.append(read)
        elif self._first:
            self.device.check([*self._first, read], self.joints, self.rest)
            self._first = []
        for own in (self._six, self._points, self._seen, self._there, self._sum, self._weight):
            own[:-1] = own[1:].clone()
            own[-1] = 0
        for name, (place, turn) in read.items():
            joint = JOINTS.index(name)
            if place is not None:
                self._points[-1, joint] = torch.as_tensor(place, dtype=torch.float32)
                self._there[-1, joint] = True
            if turn is not None:
                self._six[-1, joint] = torch.as_tensor(turn[:, :2].T.reshape(6), dtype=torch.float32)
                self._seen[-1, joint] = True
                self._facing = joint, self._six[-1, joint].clone()
        self._frames += 1
        if self._frames % self.hop or self._frames - self.delay <= self._out:
            return []
        return self._look(self._frames - self.delay)

    def flush(self) -> list[Body]:
        """The bodies of the last frames, which nothing comes after."""
        return self._look(self._frames) if self._out < self._frames else []

    def _look(self, until: int) -> list[Body]:
        """Bodies up to a frame."""
        known = min(self._frames, WINDOW)
        first = self._frames - known
        window = Measured(
            self._six[-known:],
            self._seen[-known:],
            self._points[-known:] - torch.tensor([0.0, self.floor or 0.0, 0.0]),
            self._there[-known:],
            torch.tensor(self.rest[: len(JOINTS)], dtype=torch.float32),
            self.floor is not None,
        )
        window = at_joints(window, self.offsets.double())
        noise = torch.stack([self._noise(first + number) for number in range(known)])
        window, settings = self.settings.quieter(window)
        six = sample_recording(
            self.network,
            self._told(window),
            seeds=[0],
            steps=settings.steps,
            last=settings.last,
            guidance=settings.guidance,
            strength=settings.strength,
            smooth=settings.smooth,
            start=noise[None],
        )[0]
        share = torch.minimum(torch.arange(known) + 1.0, known - torch.arange(known))
        self._sum[-known:] += share[:, None, None] * six
        self._weight[-known:] += share
        ready = torch.arange(self._out - first, until - first)
        turned = matrices((self._sum[-known:] / self._weight[-known:, None, None]).double())[None]
        if settings.feet is not None:  # on the whole window: which foot stands shows over time
            turned, settings = planted(turned, window, settings.feet), replace(settings, feet=None)
        part = window.frames(ready)
        turns = self.finish(turned[:, ready], part, settings)[0].numpy()
        pelvis = pelvis_of(turns, part, self.rest, root=settings.root)
        pelvis[:, 1] += self.floor or 0.0
        pelvis = self._onward(pelvis, part.there.any(dim=1).numpy())
        self._pelvis = pelvis[-1]
        bodies = [Body(self._out + number, turns[number], pelvis[number]) for number in range(len(ready))]
        self._out = until
        return bodies

    def _told(self, window: Measured) -> Measured:
        """What the prior is told: where nothing was seen for a whole window, the rotation that was seen last."""
        if self._facing is None or window.seen.any():
            return window
        joint, six = self._facing
        columns6, seen = window.columns6.clone(), window.seen.clone()
        columns6[:, joint], seen[:, joint] = six, True
        return replace(window, columns6=columns6, seen=seen)

    def _onward(self, pelvis: Array, known: NDArray[np.bool_]) -> Array:
        """The pelvis, going on from where it was last through frames without any place, shape [T, 3]."""
        if self._pelvis is None or known[0]:
            return pelvis
        count = int(known.argmax()) if known.any() else len(known)
        to = pelvis[count] if known.any() else self._pelvis
        share = (np.arange(count) + 1.0)[:, None] / (count + 1)
        return np.concatenate([self._pelvis + share * (to - self._pelvis), pelvis[count:]])

    def _noise(self, frame: int) -> Tensor:
        """What a frame begins from, shape [22, 6]."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + frame)
        return torch.randn(len(JOINTS), 6, generator=generator)


def _measurement(
    name: str, given: tuple[Array | None, Array | None], joints: tuple[str, ...]
) -> tuple[Array | None, Array | None]:
    """A sensor's place and rotation as numbers, None where not measured.

    Raises:
        DataError: See :meth:`Stream.push`.
    """
    if name not in joints:
        raise DataError(f"stream: {name} is not among its joints, {', '.join(joints)}")
    found: list[Array | None] = []
    try:
        for value, shape, what in zip(given, ((3,), (3, 3)), ("place", "rotation"), strict=True):
            own = None if value is None else np.asarray(value, dtype=np.float64)
            if own is not None and own.shape != shape:
                raise DataError(f"stream: the {what} of {name} has shape {list(own.shape)}, not {list(shape)}")
            found.append(own if own is not None and np.isfinite(own).all() else None)
    except (TypeError, ValueError):
        raise DataError(f"stream: give {name}'s place and rotation as two arrays of numbers, or None") from None
    place, turn = found
    if turn is not None and (np.abs(turn @ turn.T - np.eye(3)).max() > 1e-2 or np.linalg.det(turn) < 0):
        raise DataError(f"stream: the matrix of {name} is no rotation; give an orthonormal one")
    return place, turn
