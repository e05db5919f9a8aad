"""The page of a refinement: what the noise was, and the curves before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motorque.report import page_end, page_top
from motorque.report.analysis import Analysis
from motorque.report.html import document, in_script
from motorque.report.labels import labels
from motorque.report.markup import escape, number, section, table, tile
from motorque.report.plots import Plot, thinned
from motorque.report.results import Curve, angle_curves, torque_curves
from motorque.report.scene import packed, played, scene
from motorque.report.sections import figure
from motorque.report.viewer_markup import viewer
from motorque.series import Kinetics, Motion

MAIN = ("pelvis", "hip", "knee", "ankle", "subtalar", "lumbar", "shoulder", "glenohumeral", "elbow", "elbow joint")
"""Joints whose curves are shown, if there are any of them; of others, all there are up to :data:`MOST`."""
MOST = 24
ROOM = 0.35
"""Air above and below what must be seen of a plot, as a share of it; more of the noisy curve than that is cut off."""
_LEAST = {"°": 8.0, "m": 0.05, "N·m": 8.0, "N": 20.0}


@dataclass(frozen=True)
class Changed:
    """What refinement did to a joint or a coordinate.

    Args:
        name: Its name.
        angular: Whether it turns; else lengths in m and forces in N instead of rad and N·m.
        root: Whether it places the body in the room, so that its torque is what no ground force explains.
        noise: Standard deviation of the noise found, per component [rad or m]; NaN where none was looked for.
        change: How far it was moved, root mean square over time [rad or m].
        std: Standard deviation of the refined values, per component, root mean square over time; NaN if not known.
        torque: Root mean square of its torque before and after [N·m or N]; NaN without torques.
        roughness: Root mean square of the torque's second derivative before and after [N·m/s² or N/s²].
    """

    name: str
    angular: bool
    root: bool
    noise: float
    change: float
    std: float
    torque: tuple[float, float]
    roughness: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Refinement:
    """A refined recording beside the given one.

    Args:
        analysis: The refined motion with its torques and error bars.
        before: The given motion in the same coordinates.
        torques_before: Its torques under the same loads, or None.
        changed: Joint by joint, or coordinate by coordinate.
        noise: What noise was found, one sentence; empty where nothing looked for any.
        method: What the refinement did, one sentence.
    """

    analysis: Analysis
    before: Motion
    torques_before: Kinetics | None
    changed: tuple[Changed, ...]
    noise: str
    method: str


def refinement_page(found: Refinement) -> str:
    """The whole page as HTML."""
    a = found.analysis
    named = labels(a.skeleton)
    keep = thinned(a.times)
    drawn = _plots("angles", angle_curves(found.before, named), angle_curves(a.motion, named), found, keep)
    if found.torques_before is not None and a.kinetics is not None:
        old, new = (torque_curves(x, named) for x in (found.torques_before, a.kinetics))
        drawn += _plots("torques", old, new, found, keep)
    body = "\n".join(
        (
            _header(found, drawn),
            "<main><noscript>The 3D view and the plots need JavaScript; the tables do not.</noscript>",
            _overview(found),
            _joints(found),
            _curves("angles", "Angles", drawn, found),
            _curves("torques", "Torques", drawn, found),
            page_end.notices(a.journal),
            page_end.provenance(a, _citations()),
            "</main>",
            page_top.footer(),
        )
    )
    data = {
        "mass": a.subject.mass,
        "times": packed(a.times[keep]),
        "plots": [p.data for p in drawn],
        "events": [],
        "cycles": {"r": [], "l": []},
        "toeOff": {"r": None, "l": None},
        "hasCycles": False,
        "scene": {**scene(a), "heading": 0.0, "follow": _walks(a), "poster": 0.35},
    }
    return document(f"{a.title} refined", body, in_script(data), scripts=("viewer.js", "charts.js"))


def _walks(a: Analysis) -> bool:
    """Whether the person leaves the picture unless it follows."""
    return bool(np.hypot(*np.ptp(a.center_of_mass[:, [0, 2]], axis=0)) > 3.0)


def _header(found: Refinement, drawn: Sequence[Plot]) -> str:
    a = found.analysis
    files = ", ".join(escape(f.path) for f in a.inputs if f.role == "recording")
    links = [("overview", "Overview"), ("joints", "Joint by joint"), ("angles", "Angles")]
    links += [("torques", "Torques")] if any(p.section == "torques" for p in drawn) else []
    links += [("notices", "Repairs & assumptions"), ("settings", "Settings")]
    nav = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in links)
    span = f"{number(a.times[0], 2)} to {number(a.times[-1], 2)} s"
    return f"""<header class="top">
<div class="brand">motorque · refinement</div>
<h1>{escape(a.title)}</h1>
<p class="lead">{files} · {span}, {len(a.times)} frames at {number(a.motion.rate, 0)} Hz</p>
</header>
<nav aria-label="Sections"><div>{nav}</div></nav>"""


def _overview(found: Refinement) -> str:
    a, turned = found.analysis, [c for c in found.changed if c.angular]
    tiles = []
    if turned and np.isfinite([c.noise for c in turned]).any():
        level = float(np.sqrt(np.nanmean([c.noise**2 for c in turned])))
        tiles.append(tile(number(np.degrees(level), 2), "°", "noise found per component, RMS"))
    if turned:
        moved = float(np.sqrt(np.mean([c.change**2 for c in turned])))
        tiles.append(tile(number(np.degrees(moved), 2), "°", "change of a joint, RMS"))
    before, after = overall([c.torque for c in turned if not c.root])
    if np.isfinite(before + after):
        tiles.append(tile(f"{number(before)} → {number(after)}", "N·m", "torque of a joint, RMS"))
        rough = overall([c.roughness for c in turned if not c.root])
        if rough[1] > 0:
            tiles.append(tile(f"÷ {number(rough[0] / rough[1], 0)}", "", "roughness of torques"))
    warned = sum(n.kind == "warning" for n in a.journal.notices)
    tiles.append(tile(str(warned), "", "warnings, see the list below" if warned else "warnings"))
    text = "".join(
        f"<p>{escape(sentence)}</p>"
        for sentence in (
            found.noise[:1].upper() + found.noise[1:] + "." if found.noise else "",
            found.method,
            "Smooth curves are no proof of right ones: an error that lasts, such as a joint that is always bent too "
            "much or a wrong depth, can't be told from posture and is neither removed nor in any band here.",
        )
        if sentence
    )
    return f"""<section id="overview" aria-label="Overview"><div class="tiles">{"".join(tiles)}</div>
<div class="split"><div>{viewer(len(played(a)), len(a.times))}</div>
<div><div class="panel card"><h3>What was found</h3>{text}</div>{_bands(found)}</div></div></section>"""


def overall(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Root mean square over joints of what was before and after; NaN without any."""
    if not pairs:
        return float("nan"), float("nan")
    before, after = np.sqrt(np.mean(np.square(pairs), axis=0))
    return float(before), float(after)


def _bands(found: Refinement) -> str:
    bands = found.analysis.bands
    if bands is None:
        return ""
    held = "".join(f"<p><b>{escape(k)}</b>: {escape(v)}</p>" for k, v in bands.included.items())
    left = "".join(f"<p><b>{escape(k)}</b>: {escape(v)}</p>" for k, v in bands.excluded.items())
    return (
        f'<div class="panel card sights"><h3>What the 90 % bands hold</h3>{held}'
        f"<details><summary>and what they do not</summary>{left}</details></div>"
    )


def _joints(found: Refinement) -> str:
    torques = any(np.isfinite(c.torque).all() for c in found.changed)
    columns = ["joint" if len(found.changed) == 25 else "coordinate", "noise found", "change", "left open (±)"]
    columns += ["torque before", "torque after", "roughness"] if torques else []
    rows = []
    for c in found.changed:
        k, unit, digits = (180 / np.pi, "°", 2) if c.angular else (1000.0, " mm", 1)
        row = [escape(c.name.replace("_", " "))]
        row += [number(k * x, digits) + (unit if np.isfinite(x) else "") for x in (c.noise, c.change, c.std)]
        if torques:
            force = "N·m" if c.angular else "N"
            row += [f"{number(x)} <small>{force}</small>" if np.isfinite(x) else "–" for x in c.torque]
            rough, k = c.roughness, 1e-3
            row.append(f"{number(k * rough[0])} → {number(k * rough[1], 2)} <small>k{force}/s²</small>")
        rows.append(row)
    lead = (
        "Noise is a standard deviation per component as estimated from the recording itself; change, torques and "
        "roughness (the torque’s second derivative, before → after) are root mean squares over time."
    )
    if torques:
        lead += " Torques of the pelvis are what the ground forces leave unexplained."
    return section("joints", "Joint by joint", table(columns, rows, numeric=range(1, len(columns))), escape(lead))


def _plots(name: str, before: list[Curve], after: list[Curve], found: Refinement, keep: np.ndarray) -> list[Plot]:
    """Before and after of the main joints, both sides of a pair in one plot."""
    named = labels(found.analysis.skeleton)
    old = {curve.name: curve for curve in before}
    shown = [c for c in after if named[c.name].joint in MAIN and c.unit in ("°", "N·m")]
    shown = shown or [c for c in after if c.unit in ("°", "N·m")] or after
    pairs: dict[str, list[Curve]] = {}
    for curve in shown:
        pairs.setdefault(curve.key, []).append(curve)
    drawn = []
    for members in list(pairs.values())[:MOST]:
        first = members[0]
        data: dict[str, object] = {
            "unit": first.unit,
            "time": [_trace(old[c.name], keep, "before", faint=True) for c in members]
            + [_trace(c, keep, "after") for c in members],
            "cycle": [],
            "zero": True,
            "events": False,
        }
        span = _span(members, [old[c.name] for c in members])
        if span is not None:
            data["span"] = span
        signs = [f"{sign} {text}" for sign, text in (("+", first.positive), ("−", first.negative)) if text]
        most = max(float(np.nanmax(np.abs(old[c.name].values), initial=0.0)) for c in members)
        far = span is not None and most > max(abs(x) for x in span)
        cut = [f"before up to {number(most, 0)} {first.unit}"] if far else []
        drawn.append(Plot(name, first.group, first.title, " · ".join([*signs, *cut]), data))
    return drawn


def _span(after: list[Curve], before: list[Curve]) -> list[float] | None:
    """The vertical axis: all of the refined curves and their bands, and so much of the noisy ones as they leave room
    for; None where all of both fits.
    """
    edges = []
    for c in after:
        reach = 0.0 if c.std is None else 1.645 * np.nan_to_num(c.std)
        edges += [c.values - reach, c.values + reach]
    low, high = (float(f(np.concatenate(edges))) for f in (np.nanmin, np.nanmax))
    width = max(high - low, _LEAST.get(after[0].unit, 0.0))
    middle = 0.5 * (low + high)
    low, high = middle - (0.5 + ROOM) * width, middle + (0.5 + ROOM) * width
    old = np.concatenate([c.values for c in before])
    if not np.isfinite([low, high]).all() or (np.nanmin(old) >= low and np.nanmax(old) <= high):
        return None
    return [low, high]


def _trace(curve: Curve, keep: np.ndarray, word: str, *, faint: bool = False) -> dict[str, object]:
    side = {"r": "right, ", "l": "left, "}.get(curve.side, "")
    trace: dict[str, object] = {"side": curve.side, "name": side + word, "y": packed(curve.values[keep])}
    if faint:
        return {**trace, "faint": True}
    if curve.std is not None:
        trace["sd"] = packed(curve.std[keep])
    return {**trace, "solid": True}


def _curves(name: str, title: str, drawn: Sequence[Plot], found: Refinement) -> str:
    mine = [(k, p) for k, p in enumerate(drawn) if p.section == name]
    if not mine:
        return ""
    legend = (
        '<span class="r"><i></i>right</span><span class="l"><i></i>left</span><span class="m"><i></i>midline</span>'
        "<span>thin: before · thick: after, with its 90 % band · the axis is that of the curves after; "
        "double-click to see all of those before</span>"
    )
    parts = [f'<div class="tools"><span class="legend">{legend}</span></div>']
    for group in dict.fromkeys(p.group for _, p in mine):
        parts.append(f"<h3>{escape(group)}</h3>")
        parts.append(f'<div class="grid">{"".join(figure(k, p) for k, p in mine if p.group == group)}</div>')
    lead = found.analysis.angles_from if name == "angles" else _loads_words(found)
    return section(name, title, "".join(parts), escape(lead))


def _loads_words(found: Refinement) -> str:
    a = found.analysis
    start = "By central differences, before and after alike. "
    if a.loads is None:
        return start + "Without ground forces: those of the legs are of legs that hang from a held pelvis."
    return start + "Both under the ground forces that were found in the refined motion, without force plates."


def _citations() -> str:
    return "<p>motorque. How to cite it stands in the project’s CITATION.cff; what it does in docs/refinement.md.</p>"
