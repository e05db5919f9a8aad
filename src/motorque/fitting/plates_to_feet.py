"""Which foot stands on which plate: by the names of the columns, or by where the centre of pressure lies.

A plate may be hit by one foot after the other, so a foot is found for every contact by itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.files.plate_columns import split_sides
from motorque.fitting.feet import Foot, find_feet
from motorque.fitting.load_checks import BRIEF, FAR, LOADED, check_loads, contacts, misplaced, spans
from motorque.journal import Journal
from motorque.series import Load, Loads
from motorque.signals.runs import runs_of
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]


def assign_plates(plates: Loads, skeleton: Skeleton, q: Array, *, journal: Journal) -> Loads:
    """Give every plate to the foot that stands on it.

    Args:
        plates: Plates at the motion's times; the names say a side (``_r_``, ``l_``) or not.
        skeleton: The skeleton.
        q: Its coordinates at the same times [rad or m], shape [T, nq].
        journal: Which plate went to which foot and why, and everything doubtful.

    Returns:
        One load per plate and foot; where both feet used a plate one after the other, its signal is split in time
        between them, so that the sum stays as it was.

    Raises:
        DataError: The skeleton has no feet.
    """
    feet = find_feet(skeleton, q, plates.times)
    assigned: list[Load] = []
    for load, side in zip(plates.loads, split_sides([load.name for load in plates.loads]), strict=True):
        if side is not None:
            foot = next(f for f in feet if f.side == side)
            journal.assume(f"{load.name} acts on {foot.body}, as its name says", load.name)
            assigned.append(_on(load, foot.body, load.name, None))
        else:
            assigned += _by_pressure(load, feet, plates.times, journal)
    result = Loads(plates.times, tuple(assigned))
    check_loads(result, skeleton, q, journal=journal, feet=feet)
    return result


def _by_pressure(load: Load, feet: tuple[Foot, Foot], times: Array, journal: Journal) -> list[Load]:
    """Split a plate's signal between the feet by distance, contact by contact."""
    touches = contacts(load)
    if not touches:
        journal.info(f"{load.name} is never loaded with more than {LOADED:g} N and is left out", load.name)
        return []
    distances = np.stack([foot.distance(load.point) for foot in feet])
    pieces: list[slice] = []
    for contact in touches:
        parts = _split_contact(distances[:, contact], times[contact])
        pieces += [slice(contact.start + part.start, contact.start + part.stop) for part in parts]
        if len(parts) > 1:
            journal.warn(
                f"{load.name} is under both feet one after the other without a pause {spans([contact], times)}; it is "
                "split where the centre of pressure passes from one to the other, and wrong while both stand on it",
                load.name,
            )
    weight = load.force[:, 1]
    mean = np.stack([np.average(distances[:, piece], axis=1, weights=weight[piece]) for piece in pieces])
    best = mean.argmin(axis=1)
    # A contact whose point is under no foot (a brush, noise just above the threshold) goes with its clear neighbour.
    clear = np.flatnonzero(mean.min(axis=1) <= FAR)
    if len(clear):
        best = best[clear[np.abs(clear[None] - np.arange(len(pieces))[:, None]).argmin(axis=1)]]
    owner = np.zeros(len(times), dtype=int)
    for piece, user in zip(pieces, best, strict=True):
        owner[piece] = user
    _fill_between(owner, pieces)
    users = sorted(set(best.tolist()))
    for user in users:
        own = np.flatnonzero(best == user)
        frames = np.concatenate([np.arange(pieces[i].start, pieces[i].stop) for i in own])
        distance = np.average(distances[user, frames], weights=weight[frames])
        journal.assume(
            f"{load.name} acts on {feet[user].body} {spans([pieces[i] for i in own], times)}: its centre of pressure "
            f"is {100 * distance:.0f} cm from that foot's midline, {100 * mean[own, 1 - user].min():.0f} cm or more "
            "from the other one's",
            load.name,
        )
    if len(users) == 1:
        return [_on(load, feet[users[0]].body, load.name, None)]
    return [_on(load, feet[user].body, f"{load.name}_{feet[user].side}", owner == user) for user in users]


def _on(load: Load, body: str, name: str, frames: NDArray[np.bool_] | None) -> Load:
    """The load on a body, in some frames only if they are given."""
    if frames is None:
        return Load(name, body, load.force, load.point, load.moment, load.force_std)
    keep = frames[:, None]
    std = None if load.force_std is None else np.where(keep, load.force_std, 0.0)
    return Load(name, body, np.where(keep, load.force, 0.0), load.point, np.where(keep, load.moment, 0.0), std)


def _split_contact(distances: Array, times: Array) -> list[slice]:
    """Pieces of one contact in which one foot is on the point and the other one clearly off it; the whole if only one
    is.

    A foot counts in the frames in which the point is under it and not under the other foot.
    """
    under = distances < FAR
    alone = under & ~under[::-1]
    marks = [(run.start, run.stop, foot) for foot in range(2) for run in runs_of(alone[foot])]
    long = sorted(m for m in marks if times[m[1] - 1] - times[m[0]] >= BRIEF)
    pieces: list[list[int]] = []
    for start, stop, foot in long:
        if pieces and pieces[-1][2] == foot:
            pieces[-1][1] = stop
        else:
            pieces.append([start, stop, foot])
    if len(pieces) < 2:
        return [slice(0, len(times))]
    cuts = [0, *((a[1] + b[0]) // 2 for a, b in zip(pieces, pieces[1:], strict=False)), len(times)]
    return [slice(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]


def _fill_between(owner: NDArray[np.int_], pieces: list[slice]) -> None:
    """Unloaded frames go with the nearest contact in time."""
    for number, piece in enumerate(pieces):
        before = pieces[number - 1].stop if number else 0
        after = pieces[number + 1].start if number + 1 < len(pieces) else len(owner)
        owner[(before + piece.start) // 2 if number else 0 : piece.start] = owner[piece.start]
        owner[piece.stop : (piece.stop + after) // 2 if number + 1 < len(pieces) else len(owner)] = owner[piece.start]


def reassign_misplaced(loads: Loads, skeleton: Skeleton, q: Array, *, journal: Journal) -> Loads:
    """Loads on feet moved to the foot that their centre of pressure lies under, where that is another one.

    Args:
        loads: Loads on bodies at the motion's times; those on other bodies than feet stay.
        skeleton: The skeleton.
        q: Its coordinates at the same times [rad or m], shape [T, nq].
        journal: What was moved is a repair.
    """
    feet = find_feet(skeleton, q, loads.times)
    quiet = Journal()
    wrong = {load.name for load, *_ in misplaced(loads, feet)}
    result: list[Load] = []
    for load in loads.loads:
        if load.name not in wrong:
            result.append(load)
            continue
        found = _by_pressure(load, feet, loads.times, quiet)
        bodies = ", ".join(part.body for part in found)
        journal.repair(
            f"{load.name} was moved from {load.body} to {bodies}, where its centre of pressure lies",
            load.name,
        )
        result += found
    moved = Loads(loads.times, tuple(result))
    check_loads(moved, skeleton, q, journal=journal, feet=feet)
    return moved
