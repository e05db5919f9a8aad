"""The plots as data for the page's script: which curves share a plot, over time and over the gait cycle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.report.labels import actors
from motorque.report.norms import norm_for
from motorque.report.results import Curve, CycleCurve, Results
from motorque.report.scene import packed

Array = NDArray[np.float64]
MAX_POINTS = 4000
MAX_DRAWN_CYCLES = 24
# The least that a vertical axis spans, so that noise about zero does not look like a finding.
_LEAST_SPAN = {"°": 8.0, "m": 0.05, "N·m": 8.0, "N": 20.0, "W/kg": 0.2, "%BW": 10.0}


@dataclass(frozen=True, eq=False)
class Plot:
    """One plot of the page.

    Args:
        section: ``angles``, ``torques``, ``power``, ``forces``, ``quality`` or ``video``.
        group: Heading under which it stands.
        title: Its title.
        convention: What positive and negative mean, in words.
        data: What the script draws.
        norm_source: Where the normative band comes from; empty without one.
        norm_people: Whose band it is; empty without one.
    """

    section: str
    group: str
    title: str
    convention: str
    data: dict[str, object]
    norm_source: str = ""
    norm_people: str = ""


def thinned(times: Array) -> NDArray[np.int64]:
    """Indices of the frames that are drawn over time, at most :data:`MAX_POINTS`."""
    count = min(len(times), MAX_POINTS)
    return np.unique(np.round(np.linspace(0, len(times) - 1, count)).astype(np.int64))


def plots(found: Results) -> list[Plot]:
    """All plots of the page, section by section, in reading order."""
    keep = thinned(found.analysis.times)
    drawn: list[Plot] = []
    for section in ("angles", "torques", "power", "forces"):
        for group, members in _by_plot(found.curves[section]):
            drawn.append(_plot(found, section, group, members, keep))
    return drawn + _quality(found, keep) + _reprojection(found)


def _by_plot(curves: list[Curve]) -> Iterable[tuple[str, list[Curve]]]:
    """Curves that share a plot (both sides of a pair), in the order in which they come."""
    pairs: dict[str, list[Curve]] = {}
    for curve in curves:
        pairs.setdefault(curve.key, []).append(curve)
    return [(members[0].group, members) for members in pairs.values()]


def _plot(found: Results, section: str, group: str, members: list[Curve], keep: NDArray[np.int64]) -> Plot:
    first = members[0]
    cycles = [c for c in found.cycle_curves[section] if any(c.curve is m for m in members)]
    norm = norm_for(section, first) if found.gait.kind == "walking" and found.gait.level and cycles else None
    data: dict[str, object] = {
        "unit": first.unit,
        "time": [_time_trace(c, keep) for c in members],
        "cycle": [_cycle_trace(c) for c in cycles],
        "least": _LEAST_SPAN.get(first.unit, 0.0),
        "zero": section != "angles" or first.unit == "°",
    }
    if section == "torques" and first.unit == "N·m":
        data["massUnit"] = "N·m/kg"
    if norm is not None:
        data["norm"] = {"mean": packed(norm.mean), "sd": packed(norm.sd), "perMass": norm.unit == "N·m/kg"}
    if section == "forces" and first.key.startswith("vertical"):
        data["lines"] = [{"y": 100.0, "text": "body weight"}]
    source, people = ("", "") if norm is None else (norm.source, norm.people)
    return Plot(section, group, first.title, _convention(section, members, cycles), data, source, people)


def _convention(section: str, members: list[Curve], cycles: list[CycleCurve]) -> str:
    first = members[0]
    word = actors if section == "torques" else str
    signs = [f"{sign} {word(text)}" for sign, text in (("+", first.positive), ("−", first.negative)) if text]
    differing = [m for m in members if (m.positive, m.negative) != (first.positive, first.negative)]
    text = " · ".join(signs) or "sign as the model's coordinate"
    if differing:
        text += f" (left: + {word(differing[0].positive)})"
    if any(c.flipped for c in cycles):
        text += " · left mirrored"
    return text


def _time_trace(curve: Curve, keep: NDArray[np.int64]) -> dict[str, object]:
    trace: dict[str, object] = {"side": curve.side, "y": packed(curve.values[keep])}
    if curve.std is not None:
        trace["sd"] = packed(curve.std[keep])
    return trace


def _cycle_trace(curve: CycleCurve) -> dict[str, object]:
    trace: dict[str, object] = {"side": curve.side, "mean": packed(curve.mean), "n": len(curve.each)}
    if curve.sd is not None:
        trace["sd"] = packed(curve.sd)
        trace["each"] = packed(curve.each[:MAX_DRAWN_CYCLES])
    if curve.error is not None:
        trace["error"] = packed(curve.error)
    if curve.seam is not None:
        trace["seam"] = curve.seam
    return trace


def _quality(found: Results, keep: NDArray[np.int64]) -> list[Plot]:
    drawn: list[Plot] = []

    def add(title: str, note: str, unit: str, curves: list[tuple[str, Array]], lines: list[tuple[float, str]]) -> None:
        data: dict[str, object] = {
            "unit": unit,
            "time": [{"side": "", "name": name, "y": packed(values[keep])} for name, values in curves],
            "cycle": [],
            "zero": True,
            "lines": [{"y": y, "text": text} for y, text in lines],
        }
        drawn.append(Plot("quality", "Quality", title, note, data))

    if found.markers is not None:
        m = found.markers
        add(
            "Marker errors over time",
            "all fitted markers in each frame",
            "mm",
            [("largest", 1000 * m.frame_max), ("RMS", 1000 * m.frame_rms)],
            [(20.0, "RMS limit"), (40.0, "limit of the largest")],
        )
    if found.residuals is not None:
        r = found.residuals
        add(
            "Residual force",
            "magnitude of the root's force",
            "N",
            [("force", r.force)],
            [(r.force_limit, "5 % of peak load")],
        )
        add(
            "Residual moment",
            "magnitude of the root's moment",
            "N·m",
            [("moment", r.moment)],
            [(r.moment_limit, "1 % of COM height × peak load")],
        )
    return drawn


def _reprojection(found: Results) -> list[Plot]:
    """Reprojection error over time, one plot for each view at the times of its own frames."""
    drawn, views = [], found.video.views if found.video is not None else []
    for one in views:
        times, keep = one.view.times, thinned(one.view.times)
        data: dict[str, object] = {
            "unit": "px",
            "time": [{"side": "", "name": "RMS", "x": packed(times[keep]), "y": packed(one.frame_rms[keep])}],
            "cycle": [],
            "zero": True,
            "least": 2.0,
        }
        title = "Reprojection error over time" + (f", {one.view.name}" if len(views) > 1 else "")
        drawn.append(Plot("video", "Video", title, "all keypoints in each frame, RMS", data))
    return drawn
