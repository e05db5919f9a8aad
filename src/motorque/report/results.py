"""Everything a report shows, computed once for the page, the tables and the summary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.certainty import Certainty, certainty
from motorque.report.cycles import Cycle, mean_and_spread, normalised
from motorque.report.events import SIDES, FeetAboutPelvis, feet_about_pelvis, foot_force_stds, foot_forces, on_foot
from motorque.report.gait import Gait, analyse_gait
from motorque.report.labels import GROUPS, Label, labels
from motorque.report.power import JointPower, joint_powers, work
from motorque.report.quality import Check, MarkerQuality, Residuals, checks, marker_quality, residuals
from motorque.report.video_results import VideoResults, video_results
from motorque.series import Kinetics, Motion

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity of one side in the unit in which it is shown.

    Args:
        name: Its own name, for the tables.
        key: Same for both sides of a pair: they share one plot.
        side: ``r``, ``l`` or empty.
        group: Heading.
        title: What people call it.
        unit: Unit of the values.
        positive: What a larger value means.
        negative: What a smaller value means.
        values: Over the motion's frames, shape [T].
        std: Standard deviations, shape [T], or None.
        mirrored: Whether its sign flips when seen from the left side.
        cyclic: Whether it repeats from stride to stride (a place in the room does not), so that a mean makes sense.
    """

    name: str
    key: str
    side: str
    group: str
    title: str
    unit: str
    positive: str
    negative: str
    values: Array
    std: Array | None = None
    mirrored: bool = False
    cyclic: bool = True


@dataclass(frozen=True, eq=False)
class CycleCurve:
    """A curve over the gait cycle of one side.

    Args:
        curve: What was normalised.
        side: Side whose cycles were used; a midline curve has one for each side.
        mean: Shape [101].
        sd: Shape [101], or None for a single cycle.
        each: Every cycle, shape [C, 101].
        flipped: Whether the sign was turned to the left side's view.
        seam: Percent at which two incomplete strides were joined, or None.
        error: Standard deviation of the error, shape [101], of a single cycle if it is known; of several, their spread
            tells more.
    """

    curve: Curve
    side: str
    mean: Array
    sd: Array | None
    each: Array
    flipped: bool = False
    seam: float | None = None
    error: Array | None = None


@dataclass(frozen=True)
class Range:
    """Range of motion of one coordinate [deg or m]: over the recording, and its mean over gait cycles."""

    label: Label
    unit: str
    low: float
    high: float
    low_time: float
    high_time: float
    per_cycle: float | None


@dataclass(frozen=True)
class Peak:
    """Largest and smallest generalized force of a coordinate [N·m], with times [s] and standard deviations if known."""

    label: Label
    low: float
    high: float
    low_time: float
    high_time: float
    low_std: float | None = None
    high_std: float | None = None


@dataclass(frozen=True, eq=False)
class Results:
    """All derived results of one analysis; curves by section (``angles``, ``torques``, ``power``, ``forces``)."""

    analysis: Analysis
    labels: dict[str, Label]
    gait: Gait
    feet: FeetAboutPelvis | None
    curves: dict[str, list[Curve]]
    cycle_curves: dict[str, list[CycleCurve]]
    ranges: list[Range]
    peaks: list[Peak]
    powers: list[JointPower]
    stride_work: dict[tuple[str, str], tuple[float, float]]
    markers: MarkerQuality | None
    residuals: Residuals | None
    checks: list[Check]
    video: VideoResults | None = None
    certainty: Certainty | None = None


def results(analysis: Analysis) -> Results:
    """Compute what the report shows."""
    named = labels(analysis.skeleton)
    gait, feet = analyse_gait(analysis), feet_about_pelvis(analysis)
    powers = _paired_powers(joint_powers(analysis, named))
    curves = {
        "angles": angle_curves(analysis.motion, named),
        "torques": torque_curves(analysis.kinetics, named),
        "power": [_power_curve(p) for p in powers],
        "forces": _forces(analysis, feet),
    }
    cycle_curves = {section: _over_cycles(analysis.times, found, gait.cycles) for section, found in curves.items()}
    markers, root = marker_quality(analysis), residuals(analysis, named)
    return Results(
        analysis=analysis,
        labels=named,
        gait=gait,
        feet=feet,
        curves=curves,
        cycle_curves=cycle_curves,
        ranges=_ranges(analysis, named, curves["angles"], cycle_curves["angles"]),
        peaks=_peaks(analysis, named, curves["torques"]),
        powers=powers,
        stride_work={(p.joint, p.side): _stride_work(analysis, gait, p) for p in powers if gait.cycles.get(p.side)},
        markers=markers,
        residuals=root,
        checks=checks(markers, root, analysis.times),
        video=video_results(analysis, named),
        certainty=certainty(analysis, named),
    )


def _rank(group: str) -> int:
    return GROUPS.index(group) if group in GROUPS else len(GROUPS)


def _paired(curves: list[Curve]) -> list[Curve]:
    """In the order of the groups, both sides of a pair together, otherwise as the skeleton has them."""
    first: dict[str, int] = {}
    for k, curve in enumerate(curves):
        first.setdefault(curve.key, k)
    return sorted(curves, key=lambda c: (_rank(c.group), first[c.key]))


def _paired_powers(powers: list[JointPower]) -> list[JointPower]:
    first: dict[str, int] = {}
    for k, power in enumerate(powers):
        first.setdefault(power.joint, k)
    return sorted(powers, key=lambda p: (_rank(p.group), first[p.joint]))


def angle_curves(motion: Motion, named: dict[str, Label]) -> list[Curve]:
    """All coordinates but those that follow others, pair by pair in the order of the groups."""
    found = []
    for column, name in enumerate(motion.names):
        label = named.get(name)
        if label is None or label.follows:
            continue
        factor, unit = (180.0 / np.pi, "°") if label.rotational else (1.0, "m")
        std = None if motion.std is None else factor * motion.std[:, column]
        found.append(_curve(label, unit, factor * motion.values[:, column], std))
    return _paired(found)


def torque_curves(kinetics: Kinetics | None, named: dict[str, Label]) -> list[Curve]:
    """Generalized forces of the same coordinates but the root's, whose forces are residuals."""
    found = []
    for column, name in enumerate(() if kinetics is None else kinetics.names):
        label = named.get(name)
        if kinetics is None or label is None or label.follows or label.root:
            continue
        std = None if kinetics.std is None else kinetics.std[:, column]
        found.append(_curve(label, "N·m" if label.rotational else "N", kinetics.values[:, column], std))
    return _paired(found)


def _curve(label: Label, unit: str, values: Array, std: Array | None) -> Curve:
    return Curve(
        label.name,
        label.key,
        label.side,
        label.group,
        label.title,
        unit,
        label.positive,
        label.negative,
        values,
        std,
        label.mirrored,
        not label.root or label.rotational,
    )


def _power_curve(power: JointPower) -> Curve:
    name = f"{power.joint}_{power.side}" if power.side else power.joint
    title = joint_title(power.joint)
    return Curve(name, power.joint, power.side, power.group, title, "W/kg", "generation", "absorption", power.power)


def joint_title(joint: str) -> str:
    """What people call a joint."""
    return {"lumbar": "Trunk", "mtp": "Toes"}.get(joint, joint.replace("_", " ").capitalize())


def _forces(analysis: Analysis, feet: FeetAboutPelvis | None) -> list[Curve]:
    """Ground forces in %BW: up, along the direction of progression, and towards the midline; other loads by name."""
    if analysis.loads is None:
        return []
    times, at = analysis.loads.times, analysis.times
    forward = np.tile([1.0, 0.0, 0.0], (len(at), 1)) if feet is None else feet.direction
    right = np.cross(forward, [0.0, 1.0, 0.0])

    def percent(force: Array) -> Array:
        sampled = [np.interp(at, times, force[:, k], left=np.nan, right=np.nan) for k in range(3)]
        return np.stack(sampled, axis=1) * 100.0 / analysis.weight

    found = []
    by_side, spread = foot_forces(analysis.loads), foot_force_stds(analysis.loads)
    for side in SIDES:
        if side not in by_side:
            continue
        force = percent(by_side[side])
        medial = np.einsum("ti,ti->t", force, right) * (-1.0 if side == "r" else 1.0)
        along = np.einsum("ti,ti->t", force, forward)
        upward = np.tile([0.0, 1.0, 0.0], (len(at), 1))
        for key, title, values, axis, positive, negative in (
            ("vertical", "Vertical", force[:, 1], upward, "up", ""),
            ("forward", "Forward / backward", along, forward, "forward (propulsion)", "backward (braking)"),
            ("medial", "Sideways", medial, right, "towards the midline", "away from it"),
        ):
            std = None if side not in spread else np.linalg.norm(percent(spread[side]) * axis, axis=1)
            found.append(
                Curve(f"{key}_{side}", key, side, "Ground force", title, "%BW", positive, negative, values, std)
            )
    total = percent(analysis.loads.total_force())[:, 1]
    found.append(
        Curve(
            "vertical_total",
            "vertical_total",
            "",
            "Ground force",
            "Vertical, all loads",
            "%BW",
            "up",
            "",
            total,
            cyclic=False,
        )
    )
    for load in analysis.loads.loads:
        if not on_foot(load.body):
            title, up = f"Vertical on {load.body} ({load.name})", percent(load.force)[:, 1]
            found.append(
                Curve(f"vertical_{load.name}", load.name, "", "Ground force", title, "%BW", "up", "", up, cyclic=False)
            )
    return found


def _over_cycles(times: Array, curves: list[Curve], cycles: dict[str, list[Cycle]]) -> list[CycleCurve]:
    """Each side's curves over that side's cycles; midline curves over both, turned to the left's view for the left."""
    found = []
    for side in SIDES:
        chosen = [c for c in curves if c.side in (side, "") and c.cyclic]
        if not cycles[side] or not chosen:
            continue
        signs = np.array([-1.0 if side == "l" and c.mirrored else 1.0 for c in chosen])
        each = normalised(times, np.stack([c.values for c in chosen], axis=1) * signs, cycles[side])
        mean, sd = mean_and_spread(each)
        for k, curve in enumerate(chosen):
            spread, error = None if sd is None else sd[:, k], None
            if sd is None and curve.std is not None:
                error = normalised(times, curve.std[:, None], cycles[side])[0, :, 0]
            seam = cycles[side][0].seam
            found.append(CycleCurve(curve, side, mean[:, k], spread, each[:, :, k], bool(signs[k] < 0), seam, error))
    return found


def _extremes(times: Array, values: Array) -> tuple[float, float, float, float]:
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    return float(values[low]), float(values[high]), float(times[low]), float(times[high])


def _ranges(analysis: Analysis, named: dict[str, Label], curves: list[Curve], cycles: list[CycleCurve]) -> list[Range]:
    found = []
    for curve in curves:
        if not np.isfinite(curve.values).any():
            continue
        spans = [float(np.mean(np.ptp(c.each, axis=1))) for c in cycles if c.curve is curve]
        found.append(
            Range(
                named[curve.name],
                curve.unit,
                *_extremes(analysis.times, curve.values),
                float(np.mean(spans)) if spans else None,
            )
        )
    return found


def _peaks(analysis: Analysis, named: dict[str, Label], curves: list[Curve]) -> list[Peak]:
    usable = [c for c in curves if c.unit == "N·m" and np.isfinite(c.values).any()]
    found = []
    for c in usable:
        stds: tuple[float | None, float | None] = (None, None)
        if c.std is not None:
            stds = float(c.std[int(np.nanargmin(c.values))]), float(c.std[int(np.nanargmax(c.values))])
        found.append(Peak(named[c.name], *_extremes(analysis.times, c.values), *stds))
    return found


def _stride_work(analysis: Analysis, gait: Gait, power: JointPower) -> tuple[float, float]:
    """Positive and negative work per stride, the mean over that side's strides [J/kg]."""
    cycles = gait.cycles[power.side]
    curves = normalised(analysis.times, power.power[:, None], cycles)[:, :, 0]
    pairs = [work(np.linspace(0.0, c.duration, curves.shape[1]), p) for c, p in zip(cycles, curves, strict=True)]
    return float(np.mean([p for p, _ in pairs])), float(np.mean([n for _, n in pairs]))
