"""Somebody's bones as a small file (``bones.json``): how long they are, or where joints rest in the T-pose.

An object by SMPL's joint names. A number is the length [m] of the bone that ends in that joint; three numbers are the
joint's place in the T-pose [m], x to the person's left, y up, z forward. Lengths may be those of some bones only: the
others then have that of the other side where it is told, or published proportions for ``"height"`` [m] and ``"sex"``,
which may stand beside them. Places are those of all 22 joints or of none; a list of 22 (or 24) rows of three numbers is
the same in SMPL's order.
``"offsets"`` beside them are places of sensors in their joints' axes, three numbers by joint [m].
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.skeleton.anthropometry import Sex
from motorque.skeleton.smpl import SMPL_JOINTS, SMPL_PARENTS, rest_joints

Array = NDArray[np.float64]

BODY = 22
"""Joints without the hands, which a file may leave out."""
SHORTEST, LONGEST = 1e-3, 1.5
"""Lengths that a bone can have [m]."""
OTHER = 0.1
"""From this share on a stature is another than that of the bones, whose proportions are somebody's own."""
SHORTEST_BODY, TALLEST = 0.4, 2.8
"""Between which a stature is [m]."""


@dataclass(frozen=True)
class Bones:
    """Somebody's bones, and what of them was told.

    Args:
        rest: Rest joints from the pelvis on [m], shape [24, 3].
        lengths: Told lengths by joint [m] where only some are told; None where all are.
        height: Told stature [m].
        sex: Whose proportions the others have.
        offsets: Where sensors are in their joints' axes [m], three numbers by joint.
    """

    rest: Array
    lengths: Mapping[str, float] | None = None
    height: float | None = None
    sex: Sex = "unknown"
    offsets: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def read_bones(
    path: str | Path, *, height: float | None = None, sex: Sex | None = None, journal: Journal | None = None
) -> Array:
    """Rest joints of the person in a file.

    Args:
        path: The file.
        height: Stature [m] for bones that the file does not tell; the file's own if not given.
        sex: Whose proportions they have; the file's own if not given.
        journal: Where it is recorded that nobody told how long some bones are.

    Returns:
        Rest joints from the pelvis on [m], shape [24, 3].

    Raises:
        FileFormatError: It can't be read, names no joint of SMPL's, has another number of joints, or a bone that is
            none: of length zero, or not in metres.
    """
    return told_bones(path, height=height, sex=sex, journal=journal).rest


def told_bones(
    given: str | Path | Mapping[str, Any],
    *,
    height: float | None = None,
    sex: Sex | None = None,
    journal: Journal | None = None,
) -> Bones:
    """A person's bones and which of them are told, from a file or from what would be in it.

    Args:
        given: The file, or its content by name.
        height: As :func:`read_bones`.
        sex: As :func:`read_bones`.
        journal: As :func:`read_bones`.

    Raises:
        FileFormatError: As :func:`read_bones`.
        DataError: The same, where no file was given.
    """
    if isinstance(given, Mapping):
        content, where = {name: _plain(value) for name, value in given.items()}, ""
        return replace(_told(content, height, sex, where, journal), offsets=_offsets(content))
    path = Path(given)
    try:
        found = _told(_content(path), height, sex, str(path), journal)
    except DataError as error:
        raise FileFormatError(f"{path}: {error}") from None
    return replace(found, offsets=read_offsets(path))


def _told(content: Any, height: float | None, sex: Sex | None, where: str, journal: Journal | None) -> Bones:
    if isinstance(content, list):
        found = complete(np.asarray(_rows(content)))
        _say_height(found, height, sex or "unknown", where, journal)
        return Bones(found, None, height, sex or "unknown")
    if not isinstance(content, dict):
        raise DataError("holds neither an object nor a list; give lengths or places by joint")
    content = dict(content)
    for inner in ("bones", "lengths", "joints"):
        if isinstance(content.get(inner), dict):
            content |= content.pop(inner)
    height = _number(content.pop("height"), "height") if "height" in content and height is None else height
    sex = content.pop("sex", "unknown") if sex is None else sex
    content.pop("height", None)
    content.pop("offsets", None)
    content.pop("sex", None)
    if sex not in ("f", "m", "unknown"):
        raise DataError(f"sex must be f, m or unknown, got {sex!r}")
    if height is not None and not SHORTEST_BODY < height < TALLEST:
        raise DataError(f"a height of {height:g} m is no person's; give metres")
    if height is None and not content:
        raise DataError("tells neither bones nor a height")
    if height is None and len(content) < BODY - 1 and journal is not None:
        journal.assume(
            f"{BODY - 1 - len(content)} bones are told neither by themselves nor by a height: they are an average "
            "adult's",
            where,
        )
    found = _by_name(content, height, sex)
    own = {name: value for name, value in content.items() if name in SMPL_JOINTS[1:BODY]}
    if len(own) < BODY - 1:
        return Bones(found, own, height, sex)
    _say_height(found, height, sex, where, journal)
    return Bones(found, None, height, sex)


def read_offsets(path: str | Path) -> dict[str, tuple[float, ...]]:
    """Where sensors are in their joints' axes, from ``"offsets"`` in a file of bones.

    Args:
        path: The file.

    Returns:
        By joint, three numbers [m]; none where the file has none.

    Raises:
        FileFormatError: It can't be read, or an offset is not three numbers of a joint's.
    """
    path = Path(path)
    content = _content(path)
    try:
        return _offsets(content)
    except DataError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _offsets(content: Any) -> dict[str, tuple[float, ...]]:
    offsets = content.get("offsets", {}) if isinstance(content, dict) else {}
    if not isinstance(offsets, dict):
        raise DataError('offsets are by joint; write for example {"head": [0, 0.05, 0.1]}')
    for name in offsets:
        if name not in SMPL_JOINTS[:BODY]:
            raise DataError(f"offsets: there is no joint {name!r}")
    try:
        return {name: tuple(row) for name, row in zip(offsets, _rows(list(offsets.values())), strict=True)}
    except DataError as error:
        raise DataError(f"offsets: {error}") from None


def _content(path: Path) -> Any:
    """What is in the file.

    Raises:
        FileFormatError: It can't be read.
    """
    try:
        if path.stat().st_size > 2**20:
            raise FileFormatError(f"{path}: is no file of bones: it is too large")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}; check the name and the rights to it") from error
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f'{path}: is no JSON ({error}); write for example {{"left_elbow": 0.27}}') from None


def _say_height(joints: Array, height: float | None, sex: Sex, where: str, journal: Journal | None) -> None:
    """Say that a stature counts for nothing beside all bones, and whether it is that of somebody else."""
    if height is None or journal is None:
        return
    published = np.array(rest_joints(height=height, sex=sex))
    own = height * float(np.ptp(joints[:BODY, 1]) / np.ptp(published[:BODY, 1]))
    text = f"the height of {height:g} m counts for nothing, as all bones are told"
    if abs(own / height - 1) > OTHER:
        journal.warn(f"{text}; they are those of somebody of about {own:.2f} m: check both", where)
    else:
        journal.info(text, where)


def complete(joints: Array) -> Array:
    """Rest joints from the pelvis on, hands added in proportion where there are 22; checked.

    Args:
        joints: Rest joints [m], shape [22, 3] or [24, 3].

    Returns:
        Shape [24, 3], the pelvis at the origin.

    Raises:
        DataError: Another number of joints, a bone of no length, or joints that are nobody's in metres and these axes.
    """
    if joints.ndim != 2 or joints.shape[1] != 3 or len(joints) not in (BODY, len(SMPL_JOINTS)):
        raise DataError(f"bones: 22 or 24 joints of three numbers are needed, got shape {list(joints.shape)}")
    if not np.isfinite(joints).all():
        raise DataError("bones: a joint's place is not a number")
    if len(joints) == BODY:
        published = np.array(rest_joints())
        for wrist, hand in ((20, 22), (21, 23)):
            elbow = SMPL_PARENTS[wrist]
            ratio = np.linalg.norm(joints[wrist] - joints[elbow]) / np.linalg.norm(published[wrist] - published[elbow])
            joints = np.vstack([joints, joints[wrist] + ratio * (published[hand] - published[wrist])])
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent >= 0:
            _check_length(float(np.linalg.norm(joints[joint] - joints[parent])), SMPL_JOINTS[joint])
    x, y, _ = joints.T
    if not (x[1] > x[2] and x[16] > x[17] and y[15] > y[12] > y[0] > max(y[7], y[8])):
        raise DataError("bones: joints are not in a T-pose with x to the person's left, y up and z forward")
    return np.asarray(joints - joints[0])


def _by_name(content: dict[str, Any], height: float | None, sex: Sex) -> Array:
    for name in content:
        if name not in SMPL_JOINTS:
            raise DataError(f"there is no joint {name!r}; joints are {', '.join(SMPL_JOINTS[:BODY])}")
    if content and all(isinstance(value, list) for value in content.values()):
        missing = [name for name in SMPL_JOINTS[:BODY] if name not in content]
        if missing:
            raise DataError(
                f"places of all {BODY} joints are needed, and {missing[0]} is not there ({len(content)} are)"
            )
        whole = SMPL_JOINTS if all(name in content for name in SMPL_JOINTS) else SMPL_JOINTS[:BODY]
        return complete(np.asarray(_rows([content[name] for name in whole])))
    lengths = {name: _number(value, name) for name, value in content.items()}
    if "pelvis" in lengths:
        raise DataError("the pelvis ends no bone; leave its length out")
    for name in list(lengths):
        lengths.setdefault(other_side(name), lengths[name])
    published = np.array(rest_joints(height=height, sex=sex))
    found = np.zeros_like(published)
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent < 0:
            continue
        bone = published[joint] - published[parent]
        name = SMPL_JOINTS[joint]
        if name in lengths:
            _check_length(lengths[name], name)
            bone = bone * (lengths[name] / np.linalg.norm(bone))
        found[joint] = found[parent] + bone
    return found


def other_side(name: str) -> str:
    """The joint on the other side; itself for one in the middle."""
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name


def _check_length(length: float, name: str) -> None:
    if not length >= SHORTEST:
        raise DataError(f"bones: the one that ends in {name} has length {length:.3g}; give its length in metres")
    if length > LONGEST:
        raise DataError(f"bones: the one that ends in {name} is {length:.3g} m long, which nobody's is; give metres")


def _plain(value: Any) -> Any:
    """As JSON has it: lists and numbers in place of arrays and tuples."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{name}: {str(value)[:40]!r} is no length; give metres, or three numbers for a place")
    return float(value)


def _rows(rows: list[Any]) -> list[list[float]]:
    for row in rows:
        if not isinstance(row, list) or len(row) != 3:
            raise DataError(f"bones: {str(row)[:40]!r} is no place of three numbers")
    return [[_number(value, "bones") for value in row] for row in rows]
