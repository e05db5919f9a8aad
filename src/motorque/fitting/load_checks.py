"""What is doubtful about ground forces on feet: under the wrong foot, under both, or two under one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motorque.fitting.feet import SIDE_NAMES, Foot, find_feet
from motorque.journal import Journal
from motorque.series import Load, Loads
from motorque.signals.runs import runs_of
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]

LOADED = 20.0
"""Vertical force above which a plate counts as loaded [N]; the threshold under which its point is undefined."""
FAR = 0.10
"""Distance of a centre of pressure from a foot's midline beyond which it can't be under it [m]; a foot is 0.1 wide."""
BESIDE = 0.05
"""Distance of a centre of pressure from a foot's midline within which that foot carries it alone [m]: half a width."""
SHARED = 0.5
"""Share of a contact during which a load must seem to carry both feet to be no load on the wrong one."""
BRIEF = 0.1
"""Findings shorter than this are not reported [s]."""


def contacts(load: Load) -> list[slice]:
    """Runs of frames in which a plate is loaded and has a point."""
    loaded = (load.force[:, 1] > LOADED) & np.isfinite(load.point).all(axis=1)
    return runs_of(loaded)


def misplaced(loads: Loads, feet: tuple[Foot, Foot]) -> list[tuple[Load, list[slice], float, float]]:
    """Loads whose centre of pressure lies over 10 cm from the foot that they are said to act on.

    Not those that seem to carry both feet: their centre of pressure is far from either (:func:`carrying_both`).

    Returns:
        For each: the load, the contacts in which that is so, and its mean distance, weighted by force, from that foot
        and from the other one [m].
    """
    found = []
    both = carrying_both(loads, feet)
    for load in loads.loads:
        own = next((f for f in feet if load.body in f.bodies), None)
        if own is None:
            continue
        other = feet[1] if own is feet[0] else feet[0]
        mine, theirs = own.distance(load.point), other.distance(load.point)
        weight = load.force[:, 1]
        wrong = [
            contact
            for contact in long_only(contacts(load), loads.times)
            if np.average(mine[contact], weights=weight[contact]) > FAR and both[load.name][contact].mean() <= SHARED
        ]
        if wrong:
            frames = np.concatenate([np.arange(c.start, c.stop) for c in wrong])
            near = (float(np.average(d[frames], weights=weight[frames])) for d in (mine, theirs))
            found.append((load, wrong, *near))
    return found  # type: ignore[return-value]


def check_loads(
    loads: Loads, skeleton: Skeleton, q: Array, *, journal: Journal, feet: tuple[Foot, Foot] | None = None
) -> bool:
    """Report what is doubtful about which load acts on which foot, changing nothing.

    Reported: a centre of pressure over 10 cm from the foot that the load is said to act on; a plate under two feet at
    the same time; two plates on one foot while the other one stands unloaded.

    Args:
        loads: Loads on bodies at the motion's times.
        skeleton: The skeleton.
        q: Its coordinates at the same times [rad or m], shape [T, nq].
        journal: Where it is reported.
        feet: The feet along the motion, if they are known already.

    Returns:
        Whether a centre of pressure lies off its foot.
    """
    times = loads.times
    feet = find_feet(skeleton, q, times) if feet is None else feet
    _check_two_feet(loads, feet, journal)
    wrong = misplaced(loads, feet)
    for load, frames, mine, theirs in wrong:
        own = next(f for f in feet if load.body in f.bodies)
        other = feet[1] if own is feet[0] else feet[0]
        near = f"{100 * theirs:.0f} cm from the {SIDE_NAMES[other.side]} one"
        hint = near if theirs < mine else "neither foot is near"
        journal.warn(
            f"{load.name} is said to act on {load.body}, but its centre of pressure lies {100 * mine:.0f} cm from the "
            f"{SIDE_NAMES[own.side]} foot {spans(frames, times)} ({hint})",
            load.name,
        )
    _check_empty_foot(loads, feet, journal)
    return bool(wrong)


def _loaded(loads: Loads, foot: Foot) -> Array:
    """How many loads act on a foot with more than the threshold, shape [T]."""
    count = np.zeros(len(loads.times), dtype=int)
    for load in loads.loads:
        if load.body in foot.bodies:
            count += load.force[:, 1] > LOADED
    return count


def long_only(runs: list[slice], times: Array) -> list[slice]:
    """Runs that last long enough to matter."""
    return [run for run in runs if times[run.stop - 1] - times[run.start] >= BRIEF]


def spans(runs: list[slice], times: Array) -> str:
    """When something was so, in words."""
    start, end = times[runs[0].start], times[runs[-1].stop - 1]
    if len(runs) == 1:
        return f"from {start:.2f} to {end:.2f} s"
    total = sum(times[run.stop - 1] - times[run.start] for run in runs)
    return f"{len(runs)} times between {start:.2f} and {end:.2f} s, for {total:.2f} s in all"


def carrying_both(loads: Loads, feet: tuple[Foot, Foot]) -> dict[str, NDArray[np.bool_]]:
    """When a load seems to carry both feet, by its name, shape [T] each.

    Both feet stand, nothing is under the one that the load is not on, and its centre of pressure lies between them
    and near neither.
    """
    between = feet[1].middle - feet[0].middle
    square = np.maximum((between[:, [0, 2]] ** 2).sum(1), 1e-12)
    found = {}
    for load in loads.loads:
        own = next((f for f in feet if load.body in f.bodies), None)
        if own is None:
            found[load.name] = np.zeros(len(loads.times), dtype=bool)
            continue
        other = feet[1] if own is feet[0] else feet[0]
        # Where there is no point it lies nowhere: outside of every foot, and not between them.
        point = np.where(np.isfinite(load.point), load.point, 1e6)
        share = ((point - feet[0].middle)[:, [0, 2]] * between[:, [0, 2]]).sum(1) / square
        found[load.name] = (
            (load.force[:, 1] > LOADED)
            & feet[0].stands
            & feet[1].stands
            & (_loaded(loads, other) == 0)
            & (share > 0.2)
            & (share < 0.8)
            & (own.distance(point) > BESIDE)
            & (other.distance(point) > BESIDE)
        )
    return found


def _check_two_feet(loads: Loads, feet: tuple[Foot, Foot], journal: Journal) -> None:
    both = carrying_both(loads, feet)
    for load in loads.loads:
        runs = long_only(runs_of(both[load.name]), loads.times)
        if runs:
            other = next(f for f in feet if load.body not in f.bodies)
            journal.warn(
                f"{load.name} seems to carry both feet {spans(runs, loads.times)}: both stand, its centre of pressure "
                f"lies between them and no other plate is under the {SIDE_NAMES[other.side]} one; all of it is given "
                f"to {load.body}, so the joint moments of both legs are void there",
                load.name,
            )


def _check_empty_foot(loads: Loads, feet: tuple[Foot, Foot], journal: Journal) -> None:
    for foot, other in (feet, feet[::-1]):
        doubled = (_loaded(loads, foot) >= 2) & (_loaded(loads, other) == 0) & other.stands
        runs = long_only(runs_of(doubled), loads.times)
        if runs:
            frames = np.concatenate([np.arange(run.start, run.stop) for run in runs])
            names = ", ".join(
                x.name for x in loads.loads if x.body in foot.bodies and (x.force[frames, 1] > LOADED).any()
            )
            journal.warn(
                f"{names} act on the {SIDE_NAMES[foot.side]} foot together {spans(runs, loads.times)} while the "
                f"{SIDE_NAMES[other.side]} foot stands on the ground without a load; one of them probably belongs to "
                "it",
                names,
            )
