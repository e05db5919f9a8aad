"""Keypoints that another program has found: a folder of OpenPose's JSON files, one for each frame.

AlphaPose, MMPose (through Pose2Sim) and others write the same layout. Who is who is told by where people are: each
frame's nearest to the last one is taken.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.vision.keypoint_checks import check_keypoints
from motorque.vision.person import by_size
from motorque.vision.point_orders import BY_COUNT, order_of

Array = NDArray[np.float64]

LARGEST_FILE = 16 * 2**20
"""Bytes of the largest file that is read; one person takes 2 kB."""

REACH = 0.35
"""How far a person may move in a tenth of a second, as a share of his height, to be taken for the same one; three times
as far at most, however long he was not seen."""

PATIENCE = 1.0
"""After so long [s] without the person, the largest is taken up."""


def read_openpose(
    folder: Path | str,
    *,
    fps: float | None = None,
    times: Array | None = None,
    size: tuple[int, int] | None = None,
    person: int | None = None,
    journal: Journal,
) -> Keypoints:
    """The keypoints of one person from a folder of JSON files, in the order of their frame numbers.

    Args:
        folder: Holds one ``*.json`` for each frame of the video, frame number last in the name.
        fps: Frames a second [Hz]; not needed with ``times``.
        times: Time of each frame [s], shape [T]: those of the video that the files come from.
        size: Width and height of the picture [px]; if None, taken from the points, which is recorded.
        person: Which one to follow, 0 for the largest in the first frame with that many; the largest if None.
        journal: Where assumptions and gaps are recorded.

    Raises:
        FileFormatError: There is no such file, or one is not what OpenPose writes.
        DataError: No frame rate is known, or nobody is in any frame.
    """
    folder = Path(folder)
    files = _files(folder)
    numbers = np.array([number for number, _ in files])
    numbers = numbers - _zero(numbers, times, journal, str(folder))
    if times is not None:
        if numbers[-1] >= len(times):
            raise DataError(
                f"{folder}: holds frames up to number {numbers[-1]}, the video {len(times)}; are they of this video?"
            )
        when = np.asarray(times, dtype=np.float64)[numbers]
    elif fps is not None and fps > 0:
        when = numbers / fps
    else:
        raise DataError(f"{folder}: JSON files have no times; give the video too, or its frame rate with --fps")
    if len(when) < 2:
        raise DataError(f"{folder}: holds one frame only; a motion needs at least two")
    missing = int(numbers[-1] + 1 - len(numbers))
    if missing:
        journal.warn(f"{missing} frames between the first and the last have no file", str(folder))
    frames = [_people(path) for _, path in files]
    counts = {people.shape[1] for people in frames if len(people)}
    if not counts:
        raise DataError(f"{folder}: nobody is in any of its {len(files)} frames")
    order = order_of(max(counts)) if len(counts) == 1 else None
    if order is None:
        raise FileFormatError(
            f"{folder}: {' or '.join(map(str, sorted(counts)))} points a person; known are "
            f"{', '.join(map(str, BY_COUNT))}, the same in all frames"
        )
    followed = _follow(frames, when, person, journal, str(folder))
    points, confidence = followed[..., :2].copy(), np.clip(followed[..., 2], 0.0, 1.0)
    # OpenPose writes a point that it has not found as 0, 0 with confidence 0.
    lost = ~(followed[..., 2] > 0)
    points[lost], confidence[lost] = np.nan, 0.0
    if np.nanmax(np.abs(points), initial=0.0) <= 1.5:
        raise DataError(f"{folder}: the points are shares of the picture's size, not pixels; write them in pixels")
    if size is None:
        size = (int(np.nanmax(points[..., 0])) + 1, int(np.nanmax(points[..., 1])) + 1)
        journal.warn(
            f"the picture's size is not known and taken from the points, {size[0]} by {size[1]} pixels; the camera "
            "that is fitted depends on it: give the video as well",
            str(folder),
        )
    names = tuple(str(name) for name in order)
    source = f"OpenPose JSON with {len(order)} points"
    keypoints = Keypoints(when, points, confidence, names, size, source)
    check_keypoints(keypoints, journal, about=str(folder))
    return keypoints


def _zero(numbers: NDArray[np.int64], times: Array | None, journal: Journal, about: str) -> int:
    """Which number the video's first frame has.

    Programs count from 0 or 1. Files that begin later are of a part of the video, as OpenPose's ``--frame_first``
    leaves it, or of a longer one that was cut.
    """
    first, last = int(numbers[0]), int(numbers[-1])
    if first <= 1:
        return first
    if times is not None and last < len(times):
        journal.assume(
            f"the first file has the number {first}: frames are counted from 0 in the video, so it is that at "
            f"{times[first]:.2f} s",
            about,
        )
        return 0
    where = "the video's first frame" if times is None else f"the first of the video's {len(times)} frames"
    journal.warn(f"the files have the numbers {first} to {last}: number {first} is taken for {where}", about)
    return first


def _files(folder: Path) -> list[tuple[int, Path]]:
    """JSON files with their frame numbers, increasing."""
    if not folder.is_dir():
        raise FileFormatError(f"{folder}: is no folder of JSON files; check the name")
    found = []
    for path in folder.glob("*.json"):
        digits = re.findall(r"\d+", path.stem)
        if not digits:
            raise FileFormatError(f"{path}: has no frame number in its name; one file for each frame is expected")
        found.append((int(digits[-1]), path))
    if not found:
        raise FileFormatError(f"{folder}: holds no .json file; is it the folder that OpenPose wrote?")
    found.sort()
    for (number, path), (after, other) in zip(found[:-1], found[1:], strict=True):
        if number == after:
            raise FileFormatError(f"{other}: has the same frame number as {path.name}; give each camera its own folder")
    if found[-1][0] - found[0][0] > 100 * len(found) + 1000:
        raise FileFormatError(f"{found[-1][1]}: its frame number is far from the others'; is it one of these frames?")
    return found


def _people(path: Path) -> Array:
    """Everybody in one file: x, y [px] and confidence, shape [P, K, 3]."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise FileFormatError(f"{path}: is too large for the keypoints of one frame")
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        people = content["people"]
        rows = [np.asarray(one["pose_keypoints_2d"], dtype=np.float64) for one in people]
    except FileFormatError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileFormatError(
            f"{path}: is not what OpenPose writes (people, each with pose_keypoints_2d); export the keypoints so"
        ) from error
    rows = [row for row in rows if row.size]
    if any(row.ndim != 1 or row.size % 3 or not np.isfinite(row).all() for row in rows):
        raise FileFormatError(f"{path}: pose_keypoints_2d must hold x, y and confidence of each point, all numbers")
    if len({row.size for row in rows}) > 1:
        raise FileFormatError(f"{path}: not everybody has the same number of points")
    return np.stack([row.reshape(-1, 3) for row in rows]) if rows else np.zeros((0, 0, 3))


def _follow(frames: list[Array], times: Array, person: int | None, journal: Journal, about: str) -> Array:
    """The points of one person, zero where he is missing, shape [T, K, 3]."""
    count = next(people.shape[1] for people in frames if len(people))
    result = np.zeros((len(frames), count, 3))
    wanted = person or 0
    last: tuple[float, Array, float] | None = None
    most, changes = 0, []
    for k, (people, time) in enumerate(zip(frames, times, strict=True)):
        people = people[(people[..., 2] > 0).sum(-1) >= 3] if len(people) else people
        most = max(most, len(people))
        if not len(people):
            continue
        places = [_place(one) for one in people]
        heights = np.array([height for _, height in places])
        if last is None:
            if len(people) <= wanted:
                continue
            pick = int(np.argsort(-heights)[wanted])
        else:
            apart = np.array([np.linalg.norm(middle - last[1]) for middle, _ in places]) / max(last[2], 1.0)
            pick = int(apart.argmin())
            gap = time - last[0]
            if apart[pick] > REACH * min(max(1.0, 10 * gap), 3.0):
                if gap < PATIENCE:
                    continue
                pick = int(heights.argmax())
                changes.append(float(time))
        result[k] = people[pick]
        last = (float(time), *places[pick])
    if last is None:
        raise DataError(
            f"{about}: no frame shows {wanted + 1} people at once, at most {most}; "
            + ("leave --person out" if most <= 1 else f"choose --person 0 to {most - 1}")
        )
    if most > 1:
        journal.assume(
            f"up to {most} people are in a frame; {by_size(person)} is followed by place (--person chooses)",
            about,
        )
    if changes:
        journal.warn(
            f"after being lost, perhaps another person is followed from {', '.join(f'{t:.1f}' for t in changes[:5])} s",
            about,
        )
    return result


def _place(one: Array) -> tuple[Array, float]:
    seen = one[one[:, 2] > 0, :2]
    return np.median(seen, axis=0), float(np.linalg.norm(np.ptp(seen, axis=0)))
