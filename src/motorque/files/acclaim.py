"""Acclaim motion capture: a skeleton in an ``.asf`` file, its motion in ``.amc`` files, as CMU's database has them.

A bone has a direction and a length in the skeleton's rest pose, and axes C of its own there. Its rotation against its
parent is C M C⁻¹, M being made of the angles in the ``.amc``; the next bone begins where it ends.

Source: J. Lander, Working with Motion Capture File Formats, Game Developer, January 1998; CMU's files.
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
from motorque.files.storage import read_text
from motorque.journal import Journal
from motorque.series.bones import BoneMotion, chain_poses

Array = NDArray[np.float64]

METRES_PER_UNIT = 0.0254
"""One length unit of an ``.asf`` file, times its ``length`` entry, is an inch: CMU's 0.45 makes 56.4 mm of 1."""

RATE = 120.0
"""Frames per second of CMU's recordings; the format does not say it."""

ROOT = "root"
_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")


@dataclass
class AcclaimBone:
    """A bone as its file has it.

    Args:
        name: Its name.
        line: Where it begins in the file.
        direction: Where it points in the rest pose, in the file's axes, of unit length, shape [3].
        length: Its length in the file's units.
        axes: Its own axes in the rest pose, shape [3, 3].
        channels: What the motion file gives for it, in this order (``tx`` … ``rz``).
    """

    name: str
    line: int
    direction: Array = field(default_factory=lambda: np.zeros(3))
    length: float = 0.0
    axes: Array = field(default_factory=lambda: np.eye(3))
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class AcclaimSkeleton:
    """What an ``.asf`` file says.

    Args:
        path: The file.
        bones: The root first, then every bone after the one that it hangs on.
        parents: Index of each bone's parent, -1 for the root.
        unit: Metres per length unit.
        degrees: Whether angles are in degrees.
    """

    path: Path
    bones: tuple[AcclaimBone, ...]
    parents: tuple[int, ...]
    unit: float
    degrees: bool


def read_asf(path: str | Path) -> AcclaimSkeleton:
    """Read the skeleton of an Acclaim recording.

    Raises:
        FileFormatError: The file is missing, cut off or no ``.asf``, or a bone is incomplete, unknown or hangs on
            nothing; the message names the line.
    """
    path = Path(path)
    sections = _sections(path, read_text(path))
    units = {words[0].lower(): words[1:] for _, words in sections.get("units", [])}
    scale = _floats(path, *_entry(path, sections, "units", "length"), count=1)[0] if "length" in units else 1.0
    if not 1e-6 < scale < 1e6:
        raise FileFormatError(f"{path}: a length unit of {scale:g} in :units can't be; correct it")
    degrees = units.get("angle", ["deg"])[0].lower().startswith("deg")
    bones = {ROOT: _root(path, sections)}
    for bone in _bones(path, sections.get("bonedata", []), degrees):
        if bone.name in bones:
            raise FileFormatError(f"{path}, line {bone.line}: the bone {bone.name!r} occurs twice; rename one of them")
        bones[bone.name] = bone
    order, parents = _hierarchy(path, sections.get("hierarchy", []), bones)
    return AcclaimSkeleton(path, tuple(bones[n] for n in order), tuple(parents), METRES_PER_UNIT / scale, degrees)


def read_amc(
    path: str | Path,
    skeleton: AcclaimSkeleton | str | Path,
    *,
    rate: float = RATE,
    journal: Journal | None = None,
) -> BoneMotion:
    """Read a recording of an Acclaim skeleton.

    Args:
        path: The ``.amc`` file.
        skeleton: Its skeleton or the ``.asf`` file that holds it.
        rate: Frames per second, which the format leaves out.
        journal: Where what was assumed is recorded.

    Returns:
        The bones in metres and ground: what the file calls its Z axis is X, its Y (up) Y, its X (to the left) -Z. A
        joint is called after the bone that begins there; ends are called ``…_end``.

    Raises:
        FileFormatError: The file is missing, cut off or no ``.amc``, a frame lacks a bone or has one twice, or a cell
            is no number; the message names the line.
    """
    path, journal = Path(path), journal if journal is not None else Journal()
    if not isinstance(skeleton, AcclaimSkeleton):
        skeleton = read_asf(skeleton)
    if not 1 <= rate <= 10_000:
        raise FileFormatError(f"{path}: a rate of {rate:g} frames per second can't be; give it in Hz")
    values, degrees = _values(path, skeleton)
    journal.assume(f"{rate:g} frames per second, which an .amc file does not say", str(path))
    return _motion(skeleton, values if degrees else _to_degrees(skeleton, values), rate)


def assemble(skeleton: AcclaimSkeleton, root: Array, turns: Array, rate: float) -> BoneMotion:
    """The bones in ground from the rotation of each against the one that it hangs on.

    Args:
        skeleton: The skeleton.
        root: The root over time in the file's units and axes, shape [T, 3].
        turns: Rotations in the file's axes, the identity in the rest pose, shape [T, bones, 3, 3].
        rate: Frames per second.
    """
    bones = skeleton.bones
    ends = [i for i in range(len(bones)) if i not in skeleton.parents]
    names = [bone.name for bone in bones] + [f"{bones[i].name}_end" for i in ends]
    parents = [*skeleton.parents, *ends]
    # A bone begins where its parent ends.
    whole = [bone.direction * bone.length * skeleton.unit for bone in bones]
    offsets = np.array([whole[p] if p >= 0 else np.zeros(3) for p in parents])
    still = np.broadcast_to(np.eye(3), (len(turns), len(ends), 3, 3))
    positions, rotations = chain_poses(
        tuple(parents), offsets, root * skeleton.unit, np.concatenate([turns, still], axis=1)
    )
    return in_ground(np.arange(len(turns)) / rate, names, parents, positions, rotations, offsets)


def _motion(skeleton: AcclaimSkeleton, values: Array, rate: float) -> BoneMotion:
    """Bones in ground from the channels of all frames [° and file units], shape [T, channels]."""
    turns = np.broadcast_to(np.eye(3), (len(values), len(skeleton.bones), 3, 3)).copy()
    root, column = np.zeros((len(values), 3)), 0
    for joint, bone in enumerate(skeleton.bones):
        block = values[:, column : column + len(bone.channels)]
        column += len(bone.channels)
        for i, channel in enumerate(bone.channels):
            if channel[0] == "t":
                root[:, "xyz".index(channel[1])] = block[:, i]
        turning = [i for i, c in enumerate(bone.channels) if c[0] == "r"]
        if turning:
            # First named, first turned, about axes that stay.
            order = "".join(bone.channels[i][1] for i in turning)
            turns[:, joint] = bone.axes @ euler_rotations(order, block[:, turning]) @ bone.axes.T
    return assemble(skeleton, root, turns, rate)


def _to_degrees(skeleton: AcclaimSkeleton, values: Array) -> Array:
    turning = [channel[0] == "r" for bone in skeleton.bones for channel in bone.channels]
    return np.where(turning, np.rad2deg(values), values)


def _values(path: Path, skeleton: AcclaimSkeleton) -> tuple[Array, bool]:
    """The channels of all frames in the skeleton's order, shape [T, channels], and whether angles are in degrees."""
    place, width = {}, 0
    for bone in skeleton.bones:
        if bone.channels:
            place[bone.name] = (width, len(bone.channels))
            width += len(bone.channels)
    data, row, seen = array("d"), [0.0] * width, dict.fromkeys(place, 0)
    frame, start, degrees = 0, 0, skeleton.degrees
    for number, line in _lines(path):
        words = line.split()
        if words[0].startswith(":"):
            degrees = {":degrees": True, ":radians": False}.get(words[0].lower(), degrees)
        elif len(words) == 1 and words[0].isdigit():
            if frame:
                _check_frame(path, start, seen, frame)
                data.extend(row)
                check_size(path, frame, len(skeleton.bones))
            frame, start = frame + 1, number
        else:
            entry = place.get(words[0])
            if entry is None or not frame:
                raise FileFormatError(f"{path}, line {number}: {_stranger(words[0], skeleton, frame)}")
            if seen[words[0]] == frame:
                raise FileFormatError(f"{path}, line {number}: the bone {words[0]!r} occurs twice in a frame")
            row[entry[0] : entry[0] + entry[1]] = _floats(path, number, words[1:], count=entry[1])
            seen[words[0]] = frame
    if not frame:
        raise FileFormatError(f"{path}: holds no frame; give an .amc file")
    _check_frame(path, start, seen, frame)
    data.extend(row)
    return np.array(data).reshape(-1, width), degrees


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their numbers from 1."""
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _check_frame(path: Path, line: int, seen: dict[str, int], frame: int) -> None:
    missing = [name for name, last in seen.items() if last != frame]
    if missing:
        raise FileFormatError(
            f"{path}, line {line}: the frame that begins here lacks the bone {missing[0]!r}; the file is cut off or "
            "belongs to another .asf"
        )


def _stranger(name: str, skeleton: AcclaimSkeleton, frame: int) -> str:
    if not frame:
        return f"{name[:30]!r} stands before the first frame; give an .amc file"
    if any(bone.name == name for bone in skeleton.bones):
        return f"the bone {name!r} does not move in {skeleton.path.name}; the two files do not belong together"
    return f"there is no bone {name[:30]!r} in {skeleton.path.name}; the two files do not belong together"


def _sections(path: Path, text: str) -> dict[str, list[tuple[int, list[str]]]]:
    """The lines of each section as words, with their numbers from 1; the words of its own line come first."""
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    current: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append((number, words))
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in sections:
            raise FileFormatError(f"{path}: has no section :{needed}; the file is cut off or is no .asf")
    return sections


def _entry(
    path: Path, sections: dict[str, list[tuple[int, list[str]]]], section: str, key: str
) -> tuple[int, list[str]]:
    for number, words in sections.get(section, []):
        if words[0].lower() == key:
            return number, words[1:]
    raise FileFormatError(f"{path}: the section :{section} has no {key}; the file is cut off or is no .asf")


def _floats(path: Path, line: int, words: list[str], *, count: int) -> Array:
    try:
        found = np.array([float(word) for word in words[:count]])
    except ValueError:
        found = np.full(count, np.nan)
    if len(words) != count or not np.isfinite(found).all():
        said = " ".join(words)[:40]
        raise FileFormatError(f"{path}, line {line}: {count} numbers are needed here, got {said!r}; correct the file")
    return found


def _root(path: Path, sections: dict[str, list[tuple[int, list[str]]]]) -> AcclaimBone:
    line, order = _entry(path, sections, "root", "order")
    channels = tuple(word.lower() for word in order)
    _check_channels(path, line, channels)
    number, turn = _entry(path, sections, "root", "orientation")
    if _floats(path, number, turn, count=3).any():
        raise FileFormatError(f"{path}, line {number}: a root that is turned in the rest pose is not supported")
    return AcclaimBone(ROOT, line, channels=channels)


def _check_channels(path: Path, line: int, channels: tuple[str, ...]) -> None:
    unknown = [c for c in channels if c not in _CHANNELS]
    if unknown or len(set(channels)) < len(channels):
        what = unknown[0] if unknown else "a repeated channel"
        raise FileFormatError(f"{path}, line {line}: {what} is not supported; there are {', '.join(_CHANNELS)}")


def _bones(path: Path, lines: list[tuple[int, list[str]]], degrees: bool) -> Iterator[AcclaimBone]:
    bone: AcclaimBone | None = None
    for number, words in lines:
        key = words[0].lower()
        if key == "begin":
            bone = AcclaimBone("", number)
        elif bone is None:
            raise FileFormatError(f"{path}, line {number}: {words[0][:30]!r} stands outside of begin and end")
        elif key == "end":
            if not bone.name:
                raise FileFormatError(f"{path}, line {bone.line}: the bone that begins here has no name")
            yield bone
            bone = None
        elif key == "name" and len(words) == 2:
            bone.name = words[1]
        elif key == "direction":
            bone.direction = _floats(path, number, words[1:], count=3)
        elif key == "length":
            bone.length = float(_floats(path, number, words[1:], count=1)[0])
        elif key == "axis":
            order = words[4].lower() if len(words) == 5 else ""
            if sorted(order) != ["x", "y", "z"]:
                raise FileFormatError(f"{path}, line {number}: an axis needs three angles and their order, as 'XYZ'")
            angles = _floats(path, number, words[1:4], count=3)
            bone.axes = euler_rotations(order, angles if degrees else np.rad2deg(angles))
        elif key == "dof":
            bone.channels = tuple(word.lower() for word in words[1:])
            _check_channels(path, number, bone.channels)
            if any(c[0] == "t" for c in bone.channels):
                raise FileFormatError(f"{path}, line {number}: a bone that slides (dof tx, ty, tz) is not supported")
    if bone is not None:
        raise FileFormatError(f"{path}, line {bone.line}: the bone that begins here has no end; the file is cut off")


def _hierarchy(
    path: Path, lines: list[tuple[int, list[str]]], bones: dict[str, AcclaimBone]
) -> tuple[list[str], list[int]]:
    order, parents = [ROOT], [-1]
    for number, words in lines:
        if words[0].lower() in ("begin", "end"):
            continue
        if words[0] not in order:
            raise FileFormatError(f"{path}, line {number}: {words[0]!r} hangs on nothing yet; correct the hierarchy")
        for child in words[1:]:
            if child not in bones:
                raise FileFormatError(f"{path}, line {number}: there is no bone {child!r} in :bonedata; correct it")
            if child in order:
                raise FileFormatError(f"{path}, line {number}: the bone {child!r} hangs on two others; correct it")
            order.append(child)
            parents.append(order.index(words[0]))
    lost = [bone for name, bone in bones.items() if name not in order]
    if lost:
        raise FileFormatError(f"{path}, line {lost[0].line}: the bone {lost[0].name!r} is missing in :hierarchy")
    return order, parents
