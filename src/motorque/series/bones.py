"""BoneMotion: the jointed bones of somebody else's skeleton over time, as motion capture files hold them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.series._checks import Array, as_array, as_names, as_times, sampling_rate


@dataclass(frozen=True)
class BoneMotion:
    """Where the joints of a tree of bones are, and how the bones that hang on them are turned.

    What the axes of a bone mean is the file's own affair; only that they are fixed to it counts.

    Args:
        times: Time of each frame [s], shape [T].
        names: Names of the J joints; ends of bones without a further joint are among them (``…_end``).
        parents: Index of each joint's parent, -1 for the root; parents come first.
        positions: Joints in ground [m], shape [T, J, 3].
        rotations: Turn the axes of the bone that begins at a joint into ground, shape [T, J, 3, 3].
        offsets: Joints from their parents in the parent bone's axes [m], shape [J, 3].
    """

    times: Array
    names: tuple[str, ...]
    parents: tuple[int, ...]
    positions: Array
    rotations: Array
    offsets: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", as_times(self.times, "bones"))
        object.__setattr__(self, "names", as_names(self.names, "bones"))
        frames, joints = len(self.times), len(self.names)
        if len(self.parents) != joints or any(not -1 <= p < j for j, p in enumerate(self.parents)):
            raise DataError("bones: every joint needs a parent that comes before it, or -1")
        object.__setattr__(self, "positions", as_array(self.positions, (frames, joints, 3), "joints of bones"))
        object.__setattr__(self, "rotations", as_array(self.rotations, (frames, joints, 3, 3), "rotations of bones"))
        object.__setattr__(self, "offsets", as_array(self.offsets, (joints, 3), "offsets of bones"))

    @property
    def rate(self) -> float:
        """Frames per second; NaN for a single frame."""
        return sampling_rate(self.times)

    def index(self, name: str) -> int:
        """Index of a joint; raises :class:`DataError` if there is none of that name."""
        if name not in self.names:
            raise DataError(f"bones: there is no joint {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def frames(self, which: NDArray[np.int64] | slice) -> BoneMotion:
        """Only some frames."""
        return BoneMotion(
            self.times[which], self.names, self.parents, self.positions[which], self.rotations[which], self.offsets
        )

    def stretched(self, factor: float) -> BoneMotion:
        """With all bones that much longer; the root stays where it is."""
        root = self.positions[:, :1]
        positions = root + factor * (self.positions - root)
        return BoneMotion(self.times, self.names, self.parents, positions, self.rotations, factor * self.offsets)


def chain_poses(
    parents: tuple[int, ...], offsets: Array, root: Array, turns: NDArray[np.float64]
) -> tuple[Array, Array]:
    """Joints and bones in the root's surroundings from the rotation of each bone against its parent.

    Args:
        parents: Index of each joint's parent, -1 for the root.
        offsets: Joints from their parents in the parent bone's axes [m], shape [J, 3], or by frame, [T, J, 3].
        root: The root over time [m], shape [T, 3].
        turns: Rotation of each bone's axes into its parent's, shape [T, J, 3, 3].

    Returns:
        Positions [m], shape [T, J, 3], and rotations, shape [T, J, 3, 3].
    """
    positions, rotations = np.empty((*turns.shape[:2], 3)), np.empty_like(turns)
    for joint, parent in enumerate(parents):
        if parent < 0:
            positions[:, joint], rotations[:, joint] = root, turns[:, joint]
            continue
        arm = offsets[..., joint, :]
        positions[:, joint] = positions[:, parent] + (rotations[:, parent] @ arm[..., None])[..., 0]
        rotations[:, joint] = rotations[:, parent] @ turns[:, joint]
    return positions, rotations
