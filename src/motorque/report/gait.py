"""Whether there is gait in a recording, its cycles, and the step measures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.cycles import Cycle
from motorque.report.events import (
    SIDES,
    Event,
    FeetAboutPelvis,
    feet_about_pelvis,
    kinematic_events,
    merged_events,
    plate_events,
)

Array = NDArray[np.float64]
OTHER = {"r": "l", "l": "r"}
SHORTEST, LONGEST = 0.35, 2.5  # [s]; strides from sprinting to very slow walking
# Stance in percent of the stride. Walking: about 62 %, more when slow or in pain; running: below half, sprinters 22 %
# (Novacheck, Gait & Posture 7 (1998) 77-95). Outside of these one of the two events is false.
STANCES = {"walking": (35.0, 85.0), "running": (20.0, 55.0)}
LEVEL = 0.05  # [m/m]; 3 degrees, or 3 cm in a step of 0.6 m: more than heels at contact differ by on a floor


@dataclass(frozen=True)
class Measure:
    """One step measure.

    Args:
        name: What it is.
        unit: Its unit.
        right: Value of each right step or stride.
        left: Value of each left step or stride.
        both: Values that belong to no side.
    """

    name: str
    unit: str
    right: tuple[float, ...] = ()
    left: tuple[float, ...] = ()
    both: tuple[float, ...] = ()

    @property
    def values(self) -> tuple[float, ...]:
        """All values."""
        return self.right + self.left + self.both


@dataclass(frozen=True, eq=False)
class Gait:
    """What was found about gait.

    Args:
        kind: ``walking``, ``running`` or ``none``.
        why: One sentence: how gait was recognised, or why there is none.
        events: Heel strikes and toe offs, by time.
        cycles: Strides by side; in a short recording one that is put together from two incomplete ones.
        measures: Step measures.
        treadmill: Speed of the belt [m/s]; 0 over ground.
        level: Whether the feet come down at one height; not on stairs or a slope.
        notes: What a reader must know about them.
    """

    kind: str
    why: str
    events: tuple[Event, ...] = ()
    cycles: dict[str, list[Cycle]] = field(default_factory=lambda: {"r": [], "l": []})
    measures: tuple[Measure, ...] = ()
    treadmill: float = 0.0
    level: bool = True
    notes: tuple[str, ...] = ()

    @property
    def has_cycles(self) -> bool:
        """Whether any side has a cycle to draw."""
        return any(self.cycles.values())

    @property
    def sources(self) -> str:
        """Where the events came from, in words."""
        found = {e.source for e in self.events}
        names = {"force plate": "force plates (20 N)", "kinematics": "foot kinematics (Zeni et al. 2008)"}
        return " and ".join(text for source, text in names.items() if source in found)


def analyse_gait(analysis: Analysis) -> Gait:
    """Look for gait: events, cycles and measures, or the reason why there are none."""
    feet = feet_about_pelvis(analysis)
    if feet is None:
        return Gait("none", "The skeleton has no left and right foot, so gait was not looked for.")
    reason = _not_gait(feet)
    if reason:
        return Gait("none", reason)
    events = kinematic_events(feet)
    if analysis.loads is not None and analysis.loads_measured:
        events = merged_events(events, *plate_events(analysis.loads))
    events = [e for e in events if feet.times[0] <= e.time <= feet.times[-1]]
    strikes = {side: _times(events, side, "heel strike") for side in SIDES}
    if not all(len(s) for s in strikes.values()):
        return Gait("none", "Fewer than one heel strike on each side: no gait cycle.", tuple(events))
    cycles = {side: _cycles(events, side) for side in SIDES}
    notes: list[str] = []
    cycles = _with_joined_cycles(events, feet, cycles)
    for side, name in (("r", "right"), ("l", "left")):
        if any(c.split is not None for c in cycles[side]):
            notes.append(
                f"The recording holds no complete stride of the {name} foot: its gait-cycle curve joins the parts of "
                "two incomplete ones, and a step in the curve is the seam."
            )
        elif not cycles[side]:
            notes.append(f"No complete stride of the {name} foot: its curves are shown over time only.")
    belt = _belt_speed(feet, events)
    if belt > 0:
        notes.append(f"The standing foot moves backwards through the room at {belt:.2f} m/s: taken as a treadmill.")
    kind, cycles, left_out = plausible_stances(cycles)
    notes += left_out
    measures = _measures(feet, events, cycles, belt)
    counts = f"{len(strikes['r'])} right and {len(strikes['l'])} left heel strikes"
    why = f"Left and right foot swing past each other in turn ({counts})."
    slope = _slope(feet, events)
    level = abs(slope) < LEVEL
    if not level:
        change, way = ("higher", "uphill") if slope > 0 else ("lower", "downhill")
        notes.append(
            f"The feet come down {100 * abs(slope):.0f} cm {change} with every metre: stairs or a slope, {way}. "
            "Published bands are of level walking, so no normative band is drawn."
        )
    return Gait(kind, why, tuple(events), cycles, measures, belt, level, tuple(notes))


def _not_gait(feet: FeetAboutPelvis) -> str:
    """Why the feet do not walk; empty where they do.

    In gait each foot swings past the other one, fast. Squats, rising, jumps and standing leave the feet side by side; a
    single step forward and back does not change which foot leads.
    """
    apart = feet.ahead(feet.heel["r"]) - feet.ahead(feet.heel["l"])
    speed = np.abs(np.gradient(apart, feet.times))
    if apart.max() < 0.1 or apart.min() > -0.1:
        return "The feet do not pass each other in turn, so this is no gait: curves are shown over time only."
    if np.percentile(speed, 95) < 0.6:
        return "No foot swings past the other faster than 0.6 m/s, so this is no gait: curves are shown over time only."
    return ""


def _times(events: list[Event], side: str, kind: str) -> list[float]:
    return [e.time for e in events if e.side == side and e.kind == kind]


def _cycles(events: list[Event], side: str) -> list[Cycle]:
    """Strides between consecutive heel strikes; a pause or a missed strike (1.5 times the median) ends the row."""
    strikes, offs = _times(events, side, "heel strike"), _times(events, side, "toe off")
    found = [
        Cycle(side, a, b, next((t for t in offs if a < t < b), None))
        for a, b in zip(strikes[:-1], strikes[1:], strict=True)
        if SHORTEST <= b - a <= LONGEST
    ]
    if not found:
        return []
    typical = float(np.median([c.duration for c in found]))
    return [c for c in found if 0.67 * typical <= c.duration <= 1.5 * typical]


def _with_joined_cycles(
    events: list[Event], feet: FeetAboutPelvis, cycles: dict[str, list[Cycle]]
) -> dict[str, list[Cycle]]:
    """For a foot without a stride: one put together from the end of a stride and the start of the next.

    The recording must be at least a stride long; the stride time comes from the other foot, from two toe offs or from
    twice the step time, in this order.
    """
    known = [c.duration for side in SIDES for c in cycles[side]]
    stride = float(np.median(known)) if known else _stride_time(events)
    if stride is None or feet.times[-1] - feet.times[0] < stride:
        return cycles
    result = dict(cycles)
    for side in SIDES:
        if cycles[side]:
            continue
        start = _times(events, side, "heel strike")[0]
        split = min(float(feet.times[-1]), start + stride)
        if split - stride < feet.times[0]:  # a lonely heel strike early in a long recording: no stride follows it
            continue
        offs = sorted(t + shift for t in _times(events, side, "toe off") for shift in (0.0, stride))
        off = next((t for t in offs if start < t < start + stride), None)
        result[side] = [Cycle(side, start, start + stride, off, split)]
    return result


def _stride_time(events: list[Event]) -> float | None:
    """Stride time where no foot struck twice: between two toe offs of a foot, else twice the step time [s]."""
    strides = [b - a for side in SIDES for a, b in _pairs(_times(events, side, "toe off"))]
    if not strides:
        strikes = sorted((e.time, e.side) for e in events if e.kind == "heel strike")
        strides = [2 * (b - a) for (a, s), (b, o) in _pairs(strikes) if s != o]
    plausible = [s for s in strides if SHORTEST <= s <= LONGEST]
    return float(np.median(plausible)) if plausible else None


def _pairs(items: list) -> list[tuple]:
    return list(zip(items[:-1], items[1:], strict=True))


def plausible_stances(cycles: dict[str, list[Cycle]]) -> tuple[str, dict[str, list[Cycle]], list[str]]:
    """Walking or running, the cycles without toe offs that make no stance of it, and what was left out, in words."""
    low, high = STANCES["running"][0], STANCES["walking"][1]
    shares = [c.stance for side in SIDES for c in cycles[side] if c.stance is not None and low <= c.stance <= high]
    kind = "running" if shares and float(np.median(shares)) < 50.0 else "walking"
    low, high = STANCES[kind]
    kept: dict[str, list[Cycle]] = {side: [] for side in SIDES}
    notes = []
    for side, name in (("r", "right"), ("l", "left")):
        for cycle in cycles[side]:
            if cycle.stance is not None and not low <= cycle.stance <= high:
                notes.append(
                    f"A stance of the {name} foot is left out: from {cycle.start:.2f} s it would last "
                    f"{cycle.stance:.0f} % of the stride, which {kind} does not ({low:.0f} to {high:.0f} %); its heel "
                    "strike or its toe off is false."
                )
                cycle = replace(cycle, toe_off=None)
            kept[side].append(cycle)
    return kind, kept, notes


def _belt_speed(feet: FeetAboutPelvis, events: list[Event]) -> float:
    """How fast standing feet move backwards [m/s]; 0 under 0.15 m/s (a foot rolls a little over ground too)."""
    speeds = []
    for side in SIDES:
        forward = np.einsum("ti,ti->t", np.gradient(feet.heel[side], feet.times, axis=0), feet.direction)
        for strike in _times(events, side, "heel strike"):
            # The foot is flat from a little after heel strike until the other heel strikes: 0.1 to 0.3 s at any speed.
            flat = (feet.times > strike + 0.1) & (feet.times < strike + 0.3)
            if flat.sum() >= 3:
                speeds.append(-float(np.median(forward[flat])))
    belt = float(np.median(speeds)) if speeds else 0.0
    return belt if belt > 0.15 else 0.0


def _slope(feet: FeetAboutPelvis, events: list[Event]) -> float:
    """Rise of the heels over their way from the first heel strike to the last [m/m]; 0 on a treadmill."""
    strikes = sorted((e.time, e.side) for e in events if e.kind == "heel strike")
    (t0, first), (t1, last) = strikes[0], strikes[-1]
    way = _at(feet, feet.heel[last], t1) - _at(feet, feet.heel[first], t0)
    along = float(np.hypot(way[0], way[2]))
    return float(way[1]) / along if along > 0.3 else 0.0


def _at(feet: FeetAboutPelvis, values: Array, time: float) -> Array:
    return np.array([np.interp(time, feet.times, values[:, k]) for k in range(3)])


def _measures(
    feet: FeetAboutPelvis, events: list[Event], cycles: dict[str, list[Cycle]], belt: float
) -> tuple[Measure, ...]:
    """Step measures from heel strikes and strides that were recorded in one piece."""
    whole = {side: [c for c in cycles[side] if c.split is None] for side in SIDES}
    strikes = sorted((e.time, e.side) for e in events if e.kind == "heel strike")
    step_time: dict[str, list[float]] = {"r": [], "l": []}
    step_length: dict[str, list[float]] = {"r": [], "l": []}
    step_width: dict[str, list[float]] = {"r": [], "l": []}
    for (t0, trail), (t1, lead) in _pairs(strikes):
        if trail == lead or not 0.5 * SHORTEST <= t1 - t0 <= LONGEST / 1.5:
            continue
        d = _at(feet, feet.direction, t1)
        across = np.cross(d, [0.0, 1.0, 0.0])
        reach = _at(feet, feet.heel[lead], t1) - _at(feet, feet.heel[trail], t0)
        step_time[lead].append(t1 - t0)
        step_length[lead].append(float(reach @ d) + belt * (t1 - t0))
        step_width[lead].append(float(reach @ across) * (1.0 if lead == "r" else -1.0))
    stride_length: dict[str, list[float]] = {"r": [], "l": []}
    for side in SIDES:
        for c in whole[side]:
            move = _at(feet, feet.heel[side], c.end) - _at(feet, feet.heel[side], c.start)
            on_belt = abs(float(move @ _at(feet, feet.direction, c.end)) + belt * c.duration)
            stride_length[side].append(on_belt if belt else float(np.hypot(move[0], move[2])))
    stance = {s: [c.stance for c in cycles[s] if c.stance is not None] for s in SIDES}
    double = {s: [v for c in whole[s] if (v := _double_support(events, c)) is not None] for s in SIDES}

    def sides(name: str, unit: str, values: dict[str, list[float]]) -> Measure:
        return Measure(name, unit, tuple(values["r"]), tuple(values["l"]))

    duration = {s: [c.duration for c in whole[s]] for s in SIDES}
    speed = {s: [a / b for a, b in zip(stride_length[s], duration[s], strict=True)] for s in SIDES}
    steps = [t for s in SIDES for t in step_time[s]]
    speeds = speed["r"] + speed["l"] or (
        [float(np.mean(step_length["r"] + step_length["l"])) / float(np.mean(steps))] if steps else []
    )
    measures = (
        Measure("Speed", "m/s", both=tuple(speeds)),
        Measure("Cadence", "steps/min", both=(60.0 / float(np.mean(steps)),) if steps else ()),
        sides("Stride time", "s", duration),
        sides("Stride length", "m", stride_length),
        sides("Step time", "s", step_time),
        sides("Step length", "m", step_length),
        sides("Step width", "m", step_width),
        sides("Stance", "% of cycle", stance),
        sides("Swing", "% of cycle", {s: [100.0 - v for v in stance[s]] for s in SIDES}),
        sides("Double support", "% of cycle", double),
    )
    return tuple(m for m in measures if m.values)


def _double_support(events: list[Event], cycle: Cycle) -> float | None:
    """Both feet on the ground, in percent of the cycle; None where an event is missing, 0 in running."""
    other = OTHER[cycle.side]
    off_other = next((t for t in _times(events, other, "toe off") if cycle.start < t < cycle.end), None)
    strike_other = next((t for t in _times(events, other, "heel strike") if cycle.start < t < cycle.end), None)
    if off_other is None or strike_other is None or cycle.toe_off is None:
        return None
    if off_other > strike_other:  # the other foot leaves only after it struck: no first double support, a flight
        return 0.0
    return 100.0 * ((off_other - cycle.start) + max(0.0, cycle.toe_off - strike_other)) / cycle.duration
