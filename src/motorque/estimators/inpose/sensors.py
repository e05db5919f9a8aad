"""From tracks as a device writes them to what the prior takes: SMPL's axes, metres, heights over the floor."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from motorque.errors import DataError
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.sensor_units import HEAD_HEIGHT
from motorque.estimators.inpose.tree import JOINTS, columns, standing_length
from motorque.journal import Journal
from motorque.series.poses import Up
from motorque.series.tracks import Tracks
from motorque.skeleton.smpl import rest_joints

Array = NDArray[np.float64]
Convention = Literal["smpl", "inverse", "openxr", "unity"]
CONVENTIONS: tuple[Convention, ...] = ("smpl", "inverse", "openxr", "unity")
"""What a rotation in a file may be: from the joint's axes (x to the person's left, y up, z forward in the T-pose) into
the world's; the inverse of that; from OpenXR's axes (x right, y up, z backward); or Unity's, whose world and axes (x
right, y up, z forward) are left-handed."""

TILTED = 60.0
"""A head or trunk whose own up axis is on average farther from the world's is in another convention [deg]."""
MIRRORED = -0.3
"""Mean place of a left sensor to the left of its right one, in the head's or trunk's axes, as a share of their
distance, below which left and right are exchanged; people who keep their arms crossed reach -0.1."""
SHOULDERS = 0.2
"""About how far the shoulders are below the head [m]."""
MEANT = 0.3
"""Cosine from which on forearms point away from them."""
LOW, HIGH, STANDS = 0.85, 1.12, 1.02
"""A head that is lower than the first nearly all the time, or higher than the second half of it, is none of these
bones' owner who stands, whose is at the third over the floor; in standing lengths. In 107 recordings, none of people
who are tested, heads are half of the time above 0.92 to 1.06."""

LOWERED, RAISED, ASLANT, ASIDE = 0.6, 0.3, 0.5, 0.5
"""In shares of the span of hands, from which on nobody is in a T-pose: their middle below the head, above it, one hand
above the other, and their middle aside from the head. By published proportions hands are 0.13 below in a T-pose, 0.58
with arms 50° down."""

_BODY = ("head", "pelvis", "spine1", "spine2", "spine3", "neck")
_UPRIGHT: dict[Up, Array] = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),
    "-z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),
}


def in_smpls_world(
    tracks: Tracks, *, up: Up = "y", convention: Convention = "smpl", t_pose: float | None = None
) -> Tracks:
    """Tracks in a world with y up, with rotations from SMPL's axes.

    Args:
        tracks: As a device has them.
        up: What is up in their world.
        convention: What their rotations are, one of :data:`CONVENTIONS`.
        t_pose: A time at which the person stands in the T-pose [s]: sensors may then sit on their joints any way.

    Raises:
        DataError: There is no such convention, or the T-pose is at no time at which all rotations are there.
    """
    if convention not in CONVENTIONS or up not in _UPRIGHT:
        raise DataError(f"tracks: no convention {convention!r} with {up!r} up; there are {', '.join(CONVENTIONS)}")
    places, turns = tracks.positions, tracks.rotations
    if convention == "inverse":
        turns = turns.swapaxes(-1, -2)
    elif convention == "openxr":
        turns = turns * np.array([-1.0, 1.0, -1.0])
    elif convention == "unity":
        mirror = np.array([-1.0, 1.0, 1.0])
        places, turns = places * mirror, turns * mirror[:, None] * mirror
    upright = _UPRIGHT[up]
    found = dataclasses.replace(tracks, positions=places @ upright.T, rotations=upright @ turns)
    return found if t_pose is None else _mounted(found, t_pose)


def _mounted(tracks: Tracks, time: float) -> Tracks:
    """Rotations less how each sensor sits on its joint, which a T-pose tells."""
    row = int(np.abs(tracks.times - time).argmin())
    ever = np.asarray(tracks.seen.any(axis=0))
    rows = [r for r in range(max(0, row - 10), min(len(tracks.times), row + 11)) if tracks.seen[r, ever].all()]
    if abs(tracks.times[row] - time) > 0.5 or not rows:
        raise DataError(f"tracks: at {time:g} s, where the T-pose should be, not all rotations are there")
    row = min(rows, key=lambda r: abs(float(tracks.times[r]) - time))
    pair = _pair(tracks)
    if pair is not None and tracks.there[row, list(pair)].all():
        _check_arms(tracks, row, pair)
        x, _, z = tracks.positions[row, pair[0]] - tracks.positions[row, pair[1]]
        heading = np.arctan2(-z, x)
    else:
        lead = next((tracks.names.index(n) for n in _BODY if n in tracks.names and ever[tracks.names.index(n)]), None)
        if lead is None:
            raise DataError("tracks: a T-pose needs both wrists' places or the head's rotation, to know where it faces")
        forward = tracks.rotations[row, lead][:, 2]
        heading = np.arctan2(forward[0], forward[2])
    facing = Rotation.from_euler("y", heading).as_matrix()
    turns = tracks.rotations @ (tracks.rotations[row].swapaxes(-1, -2) @ facing)
    return dataclasses.replace(tracks, rotations=turns)


def _check_arms(tracks: Tracks, row: int, wrists: tuple[int, int]) -> None:
    """Refuse a T-pose in which arms hang, are raised or point forward, in whatever unit places are.

    Raises:
        DataError: It is none: rotations would be taken for arms to the sides that are elsewhere.
    """
    if "head" not in tracks.names or not tracks.names[wrists[0]].endswith("wrist"):
        return
    head, (left, right) = tracks.positions[row, tracks.names.index("head")], tracks.positions[row, list(wrists)]
    span = max(float(np.linalg.norm(left - right)), 1e-9)
    aside, below, ahead = head - (left + right) / 2
    faults = {
        "hands are far below the head": below > LOWERED * span,
        "hands are above the head": below < -RAISED * span,
        "one hand is far above the other": abs(left[1] - right[1]) > ASLANT * span,
        "hands are both before, behind or beside the head": np.hypot(aside, ahead) > ASIDE * span,
    }
    fault = next((text for text, found in faults.items() if found), None)
    if fault is not None:
        raise DataError(
            f"{tracks.source or 'tracks'}: nobody is in the T-pose at {tracks.times[row]:g} s: {fault}; give the time "
            "at which both arms are held out to the sides"
        )


def check_plausible(tracks: Tracks, *, up: Up | None = None, convention: Convention = "smpl", journal: Journal) -> None:
    """Refuse rotations that nobody's head or trunk has, and sides that are exchanged.

    Args:
        tracks: In SMPL's world, in metres.
        up: What they were said to have up; y, but without a word of it, if None.
        convention: What their rotations were said to be.
        journal: Where doubts are recorded.

    Raises:
        DataError: The rotations are in another convention, or left and right are exchanged; the message names the
            option under which they would fit, if there is one.
    """
    lead = next((n for n in _BODY if n in tracks.names and tracks.seen[:, tracks.names.index(n)].any()), None)
    if lead is None:
        return
    where = tracks.source or "tracks"
    own = tracks.rotations[:, tracks.names.index(lead)]
    mean = np.nanmean(own[:, :, 1], axis=0)
    angle = float(np.degrees(np.arccos(np.clip(mean[1] / max(float(np.linalg.norm(mean)), 1e-9), -1, 1))))
    if angle > TILTED:
        fits = [axis for axis, turn in _UPRIGHT.items() if up is None and (turn @ mean)[1] > np.cos(np.radians(TILTED))]
        text = f"the {lead}'s up axis is {angle:.0f}° from the world's on average"
        if fits:
            first = (
                "" if up is not None or convention != "smpl" or not _w_last(own) else "put w first in quaternions, or "
            )
            raise DataError(
                f"{where}: {text}; {first}with --up {fits[0]} it would be upright, or give --t-pose or --convention, "
                "or --up y for somebody who lies"
            )
        journal.warn(f"{text}; if the person did not lie, the sensor sits otherwise: give --t-pose", where)
    pair = _pair(tracks)
    if pair is not None:
        share = _left_share(tracks, own, pair)
        if share < MIRRORED:
            others = [
                name
                for name in (CONVENTIONS[1:] if convention == "smpl" and up in (None, "y") else ())
                if (again := in_smpls_world(tracks, convention=name)) is not None
                and _left_share(again, again.rotations[:, tracks.names.index(lead)], pair) > -MIRRORED
            ]
            hint = f"with --convention {' or '.join(others)} it would fit, or the" if others else "the"
            one, other = tracks.names[pair[0]], tracks.names[pair[1]]
            raise DataError(
                f"{where}: {one} is on the {lead}'s right of {other} throughout; {hint} two sensors are exchanged"
            )
    if _outward(tracks) < 0:
        fitting = "--convention inverse or " if _outward(_inverse(tracks)) > MEANT and convention == "smpl" else ""
        journal.warn(
            "by their rotations both forearms point back at the shoulders on average: rotations are in another "
            f"convention, or sensors sit otherwise on the wrists; try {fitting}--t-pose",
            where,
        )


def _w_last(turns: Array) -> bool:
    """Whether rotations would be upright had their quaternions been written x, y, z, w and read as w, x, y, z."""
    x, y, z, w = Rotation.from_matrix(turns[np.isfinite(turns[:, 0, 0])]).as_quat().T
    again = Rotation.from_quat(np.stack([w, x, y, z], axis=-1)).as_matrix()
    return bool(again[:, 1, 1].mean() > np.cos(np.radians(TILTED)))


def _outward(tracks: Tracks) -> float:
    """Mean cosine between both forearms, by the wrists' rotations, and the ways to them from below the head.

    In 191 recordings of people it is 0.05 or more, mostly 0.8; 1 where it can't be told.
    """
    found, names = [], tracks.names
    for name, side in (("left_wrist", 1.0), ("right_wrist", -1.0)):
        if name not in names or "head" not in names:
            return 1.0
        wrist, head = names.index(name), names.index("head")
        way = tracks.positions[:, wrist] - tracks.positions[:, head] + (0.0, SHOULDERS, 0.0)
        cosine = (side * tracks.rotations[:, wrist, :, 0] * way).sum(axis=-1) / np.linalg.norm(way, axis=-1)
        if not np.isfinite(cosine).any():
            return 1.0
        found.append(float(np.nanmean(cosine)))
    return sum(found) / 2


def _inverse(tracks: Tracks) -> Tracks:
    return dataclasses.replace(tracks, rotations=tracks.rotations.swapaxes(-1, -2))


def _pair(tracks: Tracks) -> tuple[int, int] | None:
    """A left sensor and its right one of which there are places."""
    ever = np.asarray(tracks.there.any(axis=0))
    for name in tracks.names:
        other = name.replace("left_", "right_")
        if name != other and other in tracks.names:
            pair = tracks.names.index(name), tracks.names.index(other)
            if ever[list(pair)].all():
                return pair
    return None


def _left_share(tracks: Tracks, lead: Array, pair: tuple[int, int]) -> float:
    apart = tracks.positions[:, pair[0]] - tracks.positions[:, pair[1]]
    left = np.einsum("ta,ta->t", apart, lead[:, :, 0])
    known = np.isfinite(left)
    return float(left[known].sum() / np.linalg.norm(apart[known], axis=-1).sum()) if known.any() else 1.0


def measured_of(tracks: Tracks, rest: Array, *, floor: float | None, journal: Journal) -> Measured:
    """Tracks at 60 Hz as the prior takes them.

    Args:
        tracks: In SMPL's world, in metres, at 60 Hz.
        rest: Rest joints [m], shape [22 or more, 3].
        floor: Height of the floor in their world [m]; None keeps heights from the prior.
        journal: Where it is recorded that heights can't be a person's over this floor.
    """
    frames = len(tracks.times)
    six, points = np.zeros((frames, len(JOINTS), 6)), np.zeros((frames, len(JOINTS), 3))
    seen, there = np.zeros((frames, len(JOINTS)), bool), np.zeros((frames, len(JOINTS)), bool)
    own = [JOINTS.index(name) for name in tracks.names]
    six[:, own], points[:, own] = np.nan_to_num(columns(tracks.rotations)), np.nan_to_num(tracks.positions)
    seen[:, own], there[:, own] = tracks.seen, tracks.there
    head = JOINTS.index("head")
    placed = floor is not None and bool((seen[:, head] & there[:, head]).any())
    points[..., 1] -= floor or 0.0
    if placed:
        height = float(np.median(points[there[:, head], head, 1])) / standing_length(rest)
        if not HEAD_HEIGHT[0] < height < HEAD_HEIGHT[1]:
            placed = False
            journal.warn(
                f"the head is usually {height * standing_length(rest):.2f} m over the floor, which can't be with these "
                "bones: its place is kept from the prior, and legs are more of a guess; give the right stature "
                "(--height) or the floor's height (--floor)",
                tracks.source,
            )
        else:
            _say_stature(points[there[:, head], head, 1], rest, tracks.source, journal)
    return Measured(
        torch.tensor(six, dtype=torch.float32),
        torch.tensor(seen),
        torch.tensor(points, dtype=torch.float32),
        torch.tensor(there),
        torch.tensor(rest[: len(JOINTS)], dtype=torch.float32),
        placed,
    )


def _say_stature(heights: Array, rest: Array, source: str, journal: Journal) -> None:
    """Say that a head is never as high as that of somebody with these bones who stands, or always higher."""
    usual, high = np.percentile(heights, [50, 95]) / standing_length(rest)
    if LOW <= high and usual <= HIGH:
        return
    published = standing_length(np.array(rest_joints(height=1.7)))
    told = 1.7 * standing_length(rest) / published
    seen = float(np.percentile(heights, 95)) * told / (STANDS * standing_length(rest))
    how = "hardly ever above" if high < LOW else "usually"
    metres = np.percentile(heights, 95 if high < LOW else 50)
    journal.warn(
        f"the head is {how} {metres:.2f} m over the floor, as that of somebody of about {seen:.2f} m who stands, and "
        f"the bones are of about {told:.2f} m: check the height and the floor"
        + (", or the person sits or stoops throughout" if high < LOW else ""),
        source,
    )
