"""When a foot meets the ground and when it leaves it: from force plates where they saw the foot, else from the feet.

The kinematic method is that of Zeni, Richards and Higginson, Gait & Posture 27 (2008) 710-714: at heel strike the heel
is farthest ahead of the pelvis, at toe off the toes are farthest behind it, along the direction of progression. It
needs no translation through the room, so it serves treadmills too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from motorque.report.analysis import Analysis
from motorque.report.labels import split_side
from motorque.series import Loads
from motorque.skeleton.skeleton import Skeleton

Array = NDArray[np.float64]
Interval = tuple[float, float, bool, bool]
SIDES = ("r", "l")
CONTACT_THRESHOLD = 20.0  # [N]; under it the centre of pressure is undefined and plates only show noise
_FOOT = ("calcn", "foot", "talus", "ankle")


@dataclass(frozen=True)
class Event:
    """One heel strike or toe off.

    Args:
        time: When [s].
        side: ``r`` or ``l``.
        kind: ``heel strike`` or ``toe off``.
        source: ``force plate`` or ``kinematics``.
    """

    time: float
    side: str
    kind: str
    source: str


@dataclass(frozen=True, eq=False)
class FeetAboutPelvis:
    """Where the feet are relative to the way the person goes.

    Args:
        times: Frames [s], shape [T].
        heel: Heel of each side in ground [m], shape [T, 3].
        toe: Toes (metatarsal joint) of each side in ground [m], shape [T, 3].
        pelvis: Pelvis (or centre of mass) in ground [m], shape [T, 3].
        direction: Horizontal unit vector of progression, shape [T, 3].
        travels: Whether the person moves through the room (else stands, or walks on a treadmill).
    """

    times: Array
    heel: dict[str, Array]
    toe: dict[str, Array]
    pelvis: Array
    direction: Array
    travels: bool

    def ahead(self, points: Array) -> Array:
        """How far points are ahead of the pelvis [m], shape [T]."""
        return np.einsum("ti,ti->t", points - self.pelvis, self.direction)


def foot_bodies(skeleton: Skeleton) -> dict[str, tuple[int, int | None]]:
    """Heel and toe bodies by side, as indices; a side without a foot is left out."""
    found: dict[str, tuple[int, int | None]] = {}
    by_name = {name.lower(): i for i, name in enumerate(skeleton.body_names)}
    for side in SIDES:
        heel = next((by_name[f"{foot}_{side}"] for foot in _FOOT if f"{foot}_{side}" in by_name), None)
        toe = next((by_name[f"{toe}_{side}"] for toe in ("toes", "toe") if f"{toe}_{side}" in by_name), None)
        if heel is not None:
            found[side] = (heel, toe)
    return found


def feet_about_pelvis(analysis: Analysis) -> FeetAboutPelvis | None:
    """The feet of an analysis beside its pelvis and its way, or None where the skeleton has not two of them.

    For events and step measures; which plate lies under which foot is for :mod:`motorque.fitting.feet`.
    """
    bodies = foot_bodies(analysis.skeleton)
    if len(bodies) < 2 or len(analysis.times) < 3:
        return None
    position, rotation = analysis.body_position, analysis.body_rotation
    names = [name.lower() for name in analysis.skeleton.body_names]
    pelvis = position[:, names.index("pelvis")] if "pelvis" in names else analysis.center_of_mass
    heel = {side: position[:, heel] for side, (heel, _) in bodies.items()}
    toe = {
        # A foot without a toe body: 0.2 m along its long axis, close enough for the instant of its rearmost point.
        side: position[:, toe] if toe is not None else position[:, heel_body] + 0.2 * rotation[:, heel_body, :, 0]
        for side, (heel_body, toe) in bodies.items()
    }
    direction, travels = progression(analysis.times, pelvis, toe["r"] - heel["r"] + toe["l"] - heel["l"])
    return FeetAboutPelvis(analysis.times, heel, toe, pelvis, direction, travels)


def progression(times: Array, pelvis: Array, feet_axis: Array) -> tuple[Array, bool]:
    """Which way the person goes at each frame.

    Through the room: the pelvis' horizontal velocity averaged over a second (the straight line between the ends where
    the path is straight). On the spot: where the feet point.

    Args:
        times: Frames [s], shape [T].
        pelvis: Pelvis in ground [m], shape [T, 3].
        feet_axis: Sum of both feet's heel-to-toe vectors [m], shape [T, 3].

    Returns:
        Horizontal unit vectors, shape [T, 3], and whether the person travels.
    """
    rate = 1.0 / float(np.median(np.diff(times)))
    window = max(3, min(len(times), round(rate)))

    def smooth(values: Array) -> Array:
        flat = values * np.array([1.0, 0.0, 1.0])
        return np.asarray(uniform_filter1d(flat, window, axis=0, mode="nearest"))

    facing = _unit(smooth(feet_axis), np.array([1.0, 0.0, 0.0]))
    velocity = smooth(np.gradient(pelvis, times, axis=0))
    speed = np.linalg.norm(velocity, axis=1)
    travels = bool(np.median(speed) > 0.3)
    if not travels:
        return facing, False
    net = (pelvis[-1] - pelvis[0]) * np.array([1.0, 0.0, 1.0])
    length = float(np.trapezoid(speed, times))
    if np.linalg.norm(net) > 0.95 * length:
        return np.broadcast_to(net / np.linalg.norm(net), pelvis.shape).copy(), True
    return np.where((speed > 0.2)[:, None], _unit(velocity, facing), facing), True


def _unit(vectors: Array, fallback: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-9, vectors / np.maximum(length, 1e-9), fallback)


def kinematic_events(feet: FeetAboutPelvis) -> list[Event]:
    """Heel strikes and toe offs from the feet (Zeni 2008), refined between frames by a parabola; sorted by time."""
    rate = 1.0 / float(np.median(np.diff(feet.times)))
    events: list[Event] = []
    for side in SIDES:
        for kind, signal in (("heel strike", feet.ahead(feet.heel[side])), ("toe off", -feet.ahead(feet.toe[side]))):
            excursion = float(np.ptp(signal))
            # A stride swings the foot over most of the excursion; two strikes of one foot are at least 0.4 s apart.
            peaks, _ = find_peaks(signal, prominence=max(0.08, 0.25 * excursion), distance=max(1, round(0.4 * rate)))
            events += [Event(_refined(feet.times, signal, int(k)), side, kind, "kinematics") for k in peaks]
    return sorted(events, key=lambda e: e.time)


def _refined(times: Array, signal: Array, k: int) -> float:
    """Time of a maximum between frames, from the parabola through it and its neighbours [s]."""
    a, b, c = signal[k - 1], signal[k], signal[k + 1]
    bend = a - 2 * b + c
    shift = 0.0 if abs(bend) < 1e-12 else float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5))
    return float(times[k] + shift * (times[k + 1] - times[k] if shift > 0 else times[k] - times[k - 1]))


def on_foot(body: str) -> str:
    """Side of the foot that a body belongs to, empty for any other body."""
    part, side = split_side(body.lower())
    return side if part in (*_FOOT, "toes", "toe") else ""


def foot_forces(loads: Loads) -> dict[str, Array]:
    """Force of the ground on each foot, all loads of a side added up [N], shape [T, 3] by side."""
    forces: dict[str, Array] = {}
    for load in loads.loads:
        side = on_foot(load.body)
        if side:
            forces[side] = forces.get(side, np.zeros_like(load.force)) + load.force
    return forces


def foot_force_stds(loads: Loads) -> dict[str, Array]:
    """Standard deviation of the force on each foot [N], shape [T, 3] by side, where every load of a side has one; loads
    of one foot err independently.
    """
    variances: dict[str, Array] = {}
    unknown = set()
    for load in loads.loads:
        side = on_foot(load.body)
        if side and load.force_std is not None:
            variances[side] = variances.get(side, np.zeros_like(load.force)) + load.force_std**2
        elif side:
            unknown.add(side)
    return {side: np.sqrt(total) for side, total in variances.items() if side not in unknown}


def loaded_intervals(times: Array, on: NDArray[np.bool_], *, shortest: float = 0.1) -> list[Interval]:
    """Intervals in which a foot carries load, for the instants of heel strike and toe off.

    Args:
        times: Samples [s], shape [T].
        on: Whether the foot carries load, shape [T].
        shortest: Contacts and gaps shorter than this are noise [s].

    Returns:
        Start and end [s], and whether the start and the end lie inside the recording (else the load was there
        from its first sample, or still is at its last).
    """
    edges = np.flatnonzero(np.diff(on.astype(np.int8))) + 1
    bounds = np.concatenate([[0], edges, [len(on)]])
    runs = [(int(a), int(b)) for a, b in zip(bounds[:-1], bounds[1:], strict=True) if on[a]]
    merged: list[tuple[int, int]] = []
    for a, b in runs:
        if merged and times[a] - times[merged[-1][1] - 1] < shortest:
            merged[-1] = (merged[-1][0], b)
        else:
            merged.append((a, b))
    last = len(times) - 1
    return [
        (float(times[a]), float(times[min(b, last)]), a > 0, b <= last)
        for a, b in merged
        if times[min(b, last)] - times[a] >= shortest or a == 0 or b > last
    ]


def loaded_feet(loads: Loads) -> dict[str, NDArray[np.bool_]]:
    """Whether any load on each foot is over the threshold, shape [T] by side.

    Each load is judged alone: several idle plates of a walkway, all given to one foot, show noise of 10 N each, and
    their sum would look like a foot.
    """
    on: dict[str, NDArray[np.bool_]] = {}
    for load in loads.loads:
        side = on_foot(load.body)
        if side:
            over = np.nan_to_num(load.force[:, 1]) > CONTACT_THRESHOLD
            on[side] = on.get(side, np.zeros(len(over), dtype=bool)) | over
    return on


def plate_events(loads: Loads) -> tuple[list[Event], dict[str, list[tuple[float, float]]]]:
    """Events that the plates saw, sorted by time, and the intervals in which they carried each foot [s]."""
    events: list[Event] = []
    loaded: dict[str, list[tuple[float, float]]] = {}
    for side, on in loaded_feet(loads).items():
        for start, end, starts_inside, ends_inside in loaded_intervals(loads.times, on):
            loaded.setdefault(side, []).append((start, end))
            if starts_inside:
                events.append(Event(start, side, "heel strike", "force plate"))
            if ends_inside:
                events.append(Event(end, side, "toe off", "force plate"))
    return sorted(events, key=lambda e: e.time), loaded


def merged_events(
    kinematic: list[Event], plate: list[Event], loaded: dict[str, list[tuple[float, float]]]
) -> list[Event]:
    """Plate events, and kinematic ones for the steps that no plate saw.

    A kinematic event within 0.15 s of a plate event of its kind is the same event; one that falls into an interval in
    which a plate carried that foot is wrong. Zeni's events lie within 0.05 s of the plates' in walking: 0.15 s is safe.
    """
    kept = []
    for event in kinematic:
        rivals = [p for p in plate if p.side == event.side]
        same = any(p.kind == event.kind and abs(p.time - event.time) < 0.15 for p in rivals)
        inside = any(a + 0.05 < event.time < b - 0.05 for a, b in loaded.get(event.side, []))
        if not same and not inside:
            kept.append(event)
    return sorted(kept + plate, key=lambda e: e.time)
