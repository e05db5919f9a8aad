"""Biovision motion capture: a tree of joints and its motion in one ``.bvh`` file.

Source: J. Lander, Working with Motion Capture File Formats, Game Developer, January 1998; files of CMU's recordings.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError
from motorque.files.bone_axes import check_size, euler_rotations, in_ground
from motorque.files.storage import numbers, read_text
from motorque.journal import Journal
from motorque.series.bones import BoneMotion, chain_poses

Array = NDArray[np.float64]

UNITS = {"m": 1.0, "cm": 0.01, "inch": 0.0254, "cmu": 0.0254 / 0.45, "mm": 0.001}
"""Metres in a unit that a file may be in; ``cmu`` is the one of CMU's ``.asf`` files."""

LIKELY_SPANS = (1.1, 3.3)
"""How far from the root a person's longest two branches of bones reach together, toes and fingertips [m], from a child
to a giant."""

_CHANNELS = {f"{axis}{kind}": (kind == "position", axis.lower()) for axis in "XYZ" for kind in ("position", "rotation")}
_DEEPEST = 200


@dataclass
class _Joint:
    name: str
    parent: int
    line: int
    offset: Array | None = None
    channels: tuple[str, ...] = ()
    children: list[int] = field(default_factory=list)


def read_bvh(path: str | Path, *, units: str | None = None, journal: Journal | None = None) -> BoneMotion:
    """Read a ``.bvh`` file.

    Args:
        path: The file.
        units: Length unit of its numbers, one of ``m``, ``cm``, ``mm``, ``inch``, ``cmu``; guessed from the skeleton's
            height if None, as the format does not say it.
        journal: Where what was assumed is recorded.

    Returns:
        The bones in metres and ground: what the file calls its Z axis is X, its Y (up) Y, its X (to the left) -Z. Ends
        are called ``…_end`` after their joint.

    Raises:
        FileFormatError: The file is missing, cut off or no ``.bvh``, a joint is incomplete or occurs twice, a frame has
            too few or too many numbers or a cell is none, or no unit makes the skeleton as tall as a person; the
            message names the line.
    """
    path, journal = Path(path), journal if journal is not None else Journal()
    if units is not None and units not in UNITS:
        raise FileFormatError(f"{path}: there is no length unit {units!r}; there are {', '.join(UNITS)}")
    lines = [(number, line) for number, line in enumerate(read_text(path).split("\n"), 1) if line.strip()]
    motion = next((i for i, (_, line) in enumerate(lines) if line.strip().upper() == "MOTION"), None)
    if lines[0][1].strip().upper() != "HIERARCHY":
        raise FileFormatError(f"{path}, line {lines[0][0]}: must begin with HIERARCHY; give a .bvh file")
    if motion is None:
        raise FileFormatError(f"{path}: has no MOTION; the file is cut off, copy it again")
    joints = _joints(path, [(number, line.split()) for number, line in lines[1:motion]])
    frames, step, rows = _head(path, lines[motion + 1 :])
    values = _values(path, rows, sum(len(j.channels) for j in joints), frames, len(joints))
    unit = UNITS[units] if units else _guess_unit(path, joints, journal)
    return _motion(path, joints, values, unit, step, journal)


def _motion(path: Path, joints: list[_Joint], values: Array, unit: float, step: float, journal: Journal) -> BoneMotion:
    frames = len(values)
    offsets = np.array([j.offset for j in joints], dtype=np.float64) * unit
    arms = np.broadcast_to(offsets, (frames, *offsets.shape)).copy()
    turns = np.broadcast_to(np.eye(3), (frames, len(joints), 3, 3)).copy()
    column = 0
    for index, joint in enumerate(joints):
        block = values[:, column : column + len(joint.channels)]
        column += len(joint.channels)
        turning = [i for i, c in enumerate(joint.channels) if not _CHANNELS[c][0]]
        if turning:
            order = "".join(_CHANNELS[joint.channels[i]][1] for i in turning)
            turns[:, index] = euler_rotations(order.upper(), block[:, turning])
        for i, channel in enumerate(joint.channels):
            if _CHANNELS[channel][0]:
                # A joint's position stands in place of its offset, the root's in ground.
                arms[:, index, "xyz".index(_CHANNELS[channel][1])] = block[:, i] * unit
    positions, rotations = chain_poses(tuple(j.parent for j in joints), arms, arms[:, 0], turns)
    if offsets[0].any():
        # Programs disagree whether the root's position stands in place of its offset or is added to it. Feet know.
        lowest = float(np.median(positions[..., 1].min(1)))
        if abs(lowest + offsets[0, 1]) < abs(lowest):
            positions = np.asarray(positions + offsets[0])
            journal.assume("the root's offset is added to its position, which brings the feet to the floor", str(path))
    return in_ground(
        np.linspace(0.0, (frames - 1) * step, frames),
        [j.name for j in joints],
        [j.parent for j in joints],
        positions,
        rotations,
        offsets,
    )


def _joints(path: Path, lines: list[tuple[int, list[str]]]) -> list[_Joint]:
    """The joints in the order of the file, ends included."""
    joints: list[_Joint] = []
    stack: list[int] = []
    waiting: _Joint | None = None
    for number, words in lines:
        key = words[0].upper()
        current = joints[stack[-1]] if stack else None
        if key in ("ROOT", "JOINT", "END"):
            if waiting is not None or (key == "ROOT") == bool(stack) or (key == "ROOT" and joints):
                raise FileFormatError(f"{path}, line {number}: {' '.join(words)[:40]!r} can't stand here")
            name = f"{current.name}_end" if current is not None and key == "END" else " ".join(words[1:])
            waiting = _Joint(name, stack[-1] if stack else -1, number)
        elif key == "{":
            if waiting is None or len(stack) >= _DEEPEST:
                raise FileFormatError(f"{path}, line {number}: a brace without a joint before it")
            joints.append(waiting)
            stack.append(len(joints) - 1)
            waiting = None
        elif current is None or waiting is not None:
            raise FileFormatError(f"{path}, line {number}: {' '.join(words)[:40]!r} can't stand here")
        elif key == "}":
            if current.offset is None:
                raise FileFormatError(f"{path}, line {current.line}: the joint {current.name!r} has no OFFSET")
            stack.pop()
        elif key == "OFFSET":
            offset = numbers(words[1:])
            if offset is None or len(offset) != 3 or not np.isfinite(offset).all():
                raise FileFormatError(f"{path}, line {number}: OFFSET needs three numbers, got {words[1:4]}")
            current.offset = offset
        elif key == "CHANNELS":
            current.channels = _channels(path, number, words)
        else:
            raise FileFormatError(f"{path}, line {number}: {words[0][:30]!r} is not known here")
    if stack or waiting is not None or not joints:
        raise FileFormatError(f"{path}: the hierarchy is not closed; the file is cut off, copy it again")
    names = [joint.name for joint in joints]
    for index, joint in enumerate(joints):
        if joint.name in names[:index]:
            raise FileFormatError(f"{path}, line {joint.line}: the joint {joint.name!r} occurs twice; rename one")
    return joints


def _channels(path: Path, number: int, words: list[str]) -> tuple[str, ...]:
    channels = tuple(f"{word[:1].upper()}{word[1:].lower()}" for word in words[2:])
    known = all(channel in _CHANNELS for channel in channels) and len(set(channels)) == len(channels)
    turning = sum(not _CHANNELS[c][0] for c in channels) if known else 0
    if not known or words[1:2] != [str(len(channels))] or turning not in (0, 1, 2, 3):
        raise FileFormatError(
            f"{path}, line {number}: CHANNELS needs their number and that many of {', '.join(_CHANNELS)}, each once"
        )
    return channels


def _head(path: Path, lines: list[tuple[int, str]]) -> tuple[int, float, list[tuple[int, str]]]:
    """Number of frames, time between them [s], and the lines that hold them."""
    if len(lines) < 3:
        raise FileFormatError(f"{path}: holds no frame; the file is cut off, copy it again")
    found = []
    for (number, line), key in zip(lines[:2], (["frames:"], ["frame", "time:"]), strict=True):
        words = line.split()
        value = numbers(words[len(key) :])
        if [word.lower() for word in words[: len(key)]] != key or value is None or len(value) != 1 or not value[0] > 0:
            raise FileFormatError(f"{path}, line {number}: '{' '.join(key).capitalize()}' and a number must stand here")
        found.append((number, float(value[0])))
    (_, frames), (number, step) = found
    if not 1e-4 <= step <= 10:
        raise FileFormatError(f"{path}, line {number}: a frame time of {step:g} s can't be; it is in seconds")
    return int(frames), step, lines[2:]


def _values(path: Path, rows: list[tuple[int, str]], width: int, frames: int, joints: int) -> Array:
    """The channels of all frames, shape [T, channels]."""
    check_size(path, len(rows), joints)
    data = array("d")
    for number, line in rows:
        words = line.split()
        values = numbers(words)
        if len(words) != width or values is None or not np.isfinite(values).all():
            what = f"{len(words)} numbers for {width} channels" if len(words) != width else "a cell is no number"
            raise FileFormatError(f"{path}, line {number}: {what}; the file is cut off or damaged")
        data.frombytes(values.tobytes())
    if len(rows) != frames:
        raise FileFormatError(f"{path}: says {frames} frames but has {len(rows)}; the file is cut off, copy it again")
    return np.array(data).reshape(-1, width)


def _guess_unit(path: Path, joints: list[_Joint], journal: Journal) -> float:
    """Metres per unit, from how far bones reach from the root down and up when all are stretched."""
    reach = np.zeros(len(joints))
    for index, joint in enumerate(joints):
        if joint.parent >= 0 and joint.offset is not None:
            reach[index] = reach[joint.parent] + np.linalg.norm(joint.offset)
    span = sum(_two_longest(joints, reach))
    likely = {name: span * metres for name, metres in UNITS.items() if name != "inch"}
    fitting = [name for name, length in likely.items() if LIKELY_SPANS[0] <= length <= LIKELY_SPANS[1]]
    if not fitting:
        raise FileFormatError(
            f"{path}: bones that span {span:.3g} are no person's in any of {', '.join(UNITS)}; name the unit"
        )
    journal.assume(
        f"lengths are in {fitting[0]}, which makes the bones from the toes to the head or hands span "
        f"{likely[fitting[0]]:.2f} m",
        str(path),
    )
    return UNITS[fitting[0]]


def _two_longest(joints: list[_Joint], reach: Array) -> Iterator[float]:
    """Reach of the two branches at the root that reach furthest."""
    branch = np.arange(len(joints))
    for index, joint in enumerate(joints):
        if joint.parent > 0:
            branch[index] = branch[joint.parent]
    yield from sorted((float(reach[branch == b].max()) for b in set(branch.tolist())), reverse=True)[:2]
