"""The middle of the page: plots with their tables, gait, range of motion, quality and scale factors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motorque.report.certainty import WITHIN
from motorque.report.labels import actors
from motorque.report.markup import escape, number, section, table, verdict
from motorque.report.plots import MAX_DRAWN_CYCLES, Plot, thinned
from motorque.report.quality import MARKER_MAX_LIMITS, MARKER_RMS_LIMIT, SOURCE, doubtful_torques
from motorque.report.results import Results, joint_title

SIDE_CELL = {"r": '<td class="side-r">right</td>', "l": '<td class="side-l">left</td>', "": "<td>–</td>"}
TITLES = {
    "angles": ("Joint angles", "From inverse kinematics. The line under each title says which way is positive."),
    "torques": (
        "Joint torques",
        "Internal: what muscles and ligaments exert about each joint, from inverse dynamics. + names the muscle group "
        "that would produce a positive value.",
    ),
    "power": (
        "Joint power",
        "Internal torque times angular velocity, added over the axes of the joint, per kilogram of body mass.",
    ),
    "forces": ("Ground forces", "Force of the ground on the foot in percent of body weight (%BW)."),
}


def curves(found: Results, drawn: Sequence[Plot]) -> list[str]:
    """The plot sections; under power also the table of work, under torques the table of peaks."""
    made = []
    for name, (title, lead) in TITLES.items():
        mine = [(k, p) for k, p in enumerate(drawn) if p.section == name]
        if not mine:
            continue
        if name == "angles" and found.video is not None:
            lead = lead.replace("From inverse kinematics", "From the skeleton fitted to the video’s keypoints")
        if name == "angles" and found.analysis.angles_from:
            lead = lead.replace("From inverse kinematics.", found.analysis.angles_from)
        if name == "forces" and not found.analysis.loads_measured:
            lead += " Estimated from the motion, not measured."
        content = _tools(found, name, sorted({p.norm_people for _, p in mine if p.norm_people})) + _plot_grid(mine)
        content += {"torques": _peak_table(found), "power": _work_table(found)}.get(name, "")
        sources = sorted({p.norm_source for _, p in mine if p.norm_source})
        if sources:
            content += f'<p class="note">Normative band (mean ± SD): {escape("; ".join(sources))}.</p>'
        content += _left_out(found, found.gait.has_cycles and any(found.cycle_curves[name]))
        made.append(section(name, title, content, escape(lead)))
    return made


def _left_out(found: Results, cycles: bool) -> str:
    """What the plots of a section do not draw of a long recording; empty where they draw everything."""
    text, frames = "", len(found.analysis.times)
    drawn = len(thinned(found.analysis.times))
    if drawn < frames:
        text += (
            f"Over time {drawn} of {frames} frames are drawn, so a peak of a single frame may be missing from the "
            "curve; tables and figures are of all frames. "
        )
    if cycles and max(map(len, found.gait.cycles.values())) > MAX_DRAWN_CYCLES:
        text += f"A side with more than {MAX_DRAWN_CYCLES} strides is drawn as mean ± SD without its single strides. "
    return f'<p class="note">{escape(text.strip())}</p>' if text else ""


def _doubt(found: Results) -> str:
    """That figures over the whole recording include frames whose torques are known to be wrong; else empty."""
    warnings = doubtful_torques(found.analysis.journal)
    if not warnings:
        return ""
    more = f" (and {len(warnings) - 1} more, see the warnings)" if len(warnings) > 1 else ""
    return (
        '<p class="note"><b>▲ This table includes frames in which torques are wrong:</b> '
        f"{escape(warnings[0])}{more}.</p>"
    )


def _tools(found: Results, name: str, people: Sequence[str]) -> str:
    gait = found.gait.has_cycles and any(found.cycle_curves[name])
    parts = []
    if gait:
        parts.append(_choice(name, (("cycle", "Gait cycle"), ("time", "Over time"))))
    if name == "torques":
        parts.append(_choice("mass", (("nm", "N·m"), ("kg", "N·m/kg"))))
    legend = [
        '<span class="r"><i></i>right</span>',
        '<span class="l"><i></i>left</span>',
        '<span class="m"><i></i>midline</span>',
    ]
    if gait:
        legend.append("<span>mean ± SD of each side · dashed: toe off · upright line: the moment in the 3D view</span>")
    if any(c.std is not None for c in found.curves[name]):
        legend.append("<span>over time, and where there is one stride only: band of 90 % error bars</span>")
    if people:
        # Who they are stands beside the band: nobody should read an adult's curve against children unawares.
        whose = escape("; ".join(people))
        legend.append(f'<span class="n"><i></i>published normative mean ± SD of {whose}</span>')
    parts.append(f'<span class="legend">{"".join(legend)}</span>')
    return f'<div class="tools">{"".join(parts)}</div>'


def _choice(switch: str, options: Sequence[tuple[str, str]]) -> str:
    buttons = "".join(
        f'<button type="button" data-value="{value}" aria-pressed="{str(k == 0).lower()}">{escape(text)}</button>'
        for k, (value, text) in enumerate(options)
    )
    return f'<span class="choice" role="group" data-switch="{switch}">{buttons}</span>'


def _plot_grid(mine: Sequence[tuple[int, Plot]]) -> str:
    return f'<div class="grid">{"".join(figure(index, plot) for index, plot in mine)}</div>'


def figure(index: int, plot: Plot) -> str:
    """One plot with its title and sign convention."""
    return (
        f'<figure class="card"><figcaption><b>{escape(plot.title)}</b>'
        f"<span>{escape(plot.convention)}</span></figcaption>"
        f'<div class="chart" data-plot="{index}" data-section="{plot.section}" role="img" '
        f'aria-label="{escape(plot.title)}, {escape(plot.convention)}"></div></figure>'
    )


def _peak_table(found: Results) -> str:
    mass = found.analysis.subject.mass
    rows = [
        [
            escape(p.label.title),
            SIDE_CELL[p.label.side],
            escape(actors(p.label.positive) or "+"),
            _with_bar(p.high, p.high_std),
            number(p.high / mass, 2),
            number(p.high_time, 2),
            escape(actors(p.label.negative) or "−"),
            _with_bar(p.low, p.low_std),
            number(p.low / mass, 2),
            number(p.low_time, 2),
        ]
        for p in found.peaks
    ]
    columns = ("joint", "side", "+", "max N·m", "N·m/kg", "at s", "−", "min N·m", "N·m/kg", "at s")
    inner = table(columns, rows, numeric=(3, 4, 5, 7, 8, 9), tall=True)
    return f"<h3>Largest torques over the recording</h3>{_doubt(found)}{inner}" if rows else ""


def _with_bar(value: float, std: float | None) -> str:
    """A figure with the half width of its 90 % error bar."""
    known = std is not None and np.isfinite(std)
    return number(value) + (f" <small>± {number(WITHIN * std)}</small>" if known and std is not None else "")


def _work_table(found: Results) -> str:
    rows = []
    for p in found.powers:
        stride = found.stride_work.get((p.joint, p.side))
        rows.append(
            [
                escape(joint_title(p.joint)),
                SIDE_CELL[p.side],
                number(float(np.nanmax(p.power)), 2),
                number(float(np.nanmin(p.power)), 2),
                number(p.positive_work, 2),
                number(p.negative_work, 2),
                number(stride[0] if stride else None, 2),
                number(stride[1] if stride else None, 2),
            ]
        )
    columns = (
        "joint",
        "side",
        "max W/kg",
        "min W/kg",
        "+ work J/kg",
        "− work J/kg",
        "+ work per stride",
        "− work per stride",
    )
    inner = table(columns, rows, numeric=range(2, 8), tall=True)
    return f"<h3>Power and work</h3>{_doubt(found)}{inner}" if rows else ""


def gait(found: Results) -> str:
    """Step measures and events, or why there are none."""
    g = found.gait
    lead = f"{g.why} " + (f"Events from {g.sources}." if g.events else "")
    notes = "".join(f'<p class="note">{escape(n)}</p>' for n in g.notes)
    rows = []
    for m in g.measures:
        digits = 0 if m.unit in ("steps/min",) else 1 if m.unit.startswith("%") else 2
        cells = [_mean(values, digits) for values in (m.right, m.left)] if not m.both else [_mean(m.both, digits), ""]
        rows.append(
            [
                f"{escape(m.name)} <small>{escape(m.unit)}</small>",
                *cells,
                "" if m.name == "Step width" else _difference(m.right, m.left),
            ]
        )
    measures = table(("measure", "right (or both)", "left", "right − left"), rows, numeric=(1, 2, 3)) if rows else ""
    events = [[number(e.time, 3), SIDE_CELL[e.side], escape(e.kind), escape(e.source)] for e in g.events]
    listed = table(("time [s]", "side", "event", "from"), events, numeric=(0,), tall=True) if events else ""
    if rows or events:
        content = (
            f'{notes}<div class="split"><div><h3>Step measures</h3>{measures or "<p>none</p>"}'
            '<p class="note">Mean ± SD (number of steps or strides). Step width and length are between the heels at '
            "heel strike.</p></div>"
            f"<div><h3>Events</h3>{listed}</div></div>"
        )
    else:
        content = notes
    return section("gait", "Gait", content, escape(lead))


def _mean(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    mean = number(float(np.mean(values)), digits)
    spread = f" ± {number(float(np.std(values, ddof=1)), digits)}" if len(values) > 1 else ""
    return f"{mean}{spread} <small>({len(values)})</small>"


def _difference(right: Sequence[float], left: Sequence[float]) -> str:
    if not right or not left:
        return ""
    r, le = float(np.mean(right)), float(np.mean(left))
    middle = 0.5 * (abs(r) + abs(le))
    return "" if middle < 1e-9 else f"{number(100 * (r - le) / middle, 0)} %"


def motion_range(found: Results) -> str:
    """Range of motion of every coordinate."""
    rows = []
    for r in found.ranges:
        digits = 1 if r.unit == "°" else 3
        words = f"+ {r.label.positive}" if r.label.positive else ""
        rows.append(
            [
                f"{escape(r.label.title)}<br><small>{escape(words)}</small>",
                SIDE_CELL[r.label.side],
                number(r.low, digits),
                number(r.high, digits),
                f"<b>{number(r.high - r.low, digits)}</b> {escape(r.unit)}",
                number(r.per_cycle, digits),
            ]
        )
    columns = ("coordinate", "side", "smallest", "largest", "range", "mean range per gait cycle")
    return section(
        "range", "Range of motion", table(columns, rows, numeric=(2, 3, 4, 5), tall=True), "Over the whole recording."
    )


def quality(found: Results, drawn: Sequence[Plot]) -> str:
    """Marker errors and residuals, with their limits."""
    content = ""
    if found.checks:
        rows = [
            [
                escape(c.name),
                f"{number(c.value)} {escape(c.unit)}",
                f"{number(c.limit)} {escape(c.unit)}",
                verdict(c.verdict),
                escape(c.detail),
            ]
            for c in found.checks
        ]
        content += table(("check", "value", "limit", "verdict", ""), rows, numeric=(1, 2))
        if found.residuals is not None and not found.analysis.loads_measured:
            content += (
                '<p class="note">Loads were estimated from this motion, so residuals are small by construction and '
                "prove little.</p>"
            )
    mine = [(k, p) for k, p in enumerate(drawn) if p.section == "quality"]
    if mine:
        content += f'<h3>Over time</h3><div class="grid">{"".join(figure(k, p) for k, p in mine)}</div>'
        content += _left_out(found, False)
    m = found.markers
    if m is not None:
        top = max(float(np.nanmax(m.maximum)), MARKER_MAX_LIMITS[1])
        rows = []
        for k, name in enumerate(m.names):
            kind = "poor" if m.maximum[k] > MARKER_MAX_LIMITS[1] else "fair" if m.rms[k] > MARKER_RMS_LIMIT else ""
            width = 0.0 if not np.isfinite(m.rms[k]) else 100 * float(m.rms[k]) / top
            rows.append(
                [
                    escape(name),
                    number(1000 * float(m.rms[k])),
                    f'<td class="bar-cell"><i class="{kind}" style="width:{width:.1f}%"></i></td>',
                    number(1000 * float(m.maximum[k])),
                    number(float(m.worst_time[k]), 2),
                    number(100 * float(m.seen[k]), 0),
                ]
            )
        columns = ("marker", "RMS mm", "", "largest mm", "at s", "seen %")
        content += f"<h3>Error of each marker, worst first</h3>{table(columns, rows, numeric=(1, 3, 4, 5), tall=True)}"
    content += _residual_table(found)
    lead = (
        "Recommended: marker error below 2 cm RMS and 2–4 cm at most; residual force below 5 % of the peak external "
        f"force, residual moment below 1 % of the centre of mass’ height times that force "
        f"({SOURCE}, “Is my model good enough?”)."
    )
    return section("quality", "Quality", content, escape(lead)) if content else ""


def _residual_table(found: Results) -> str:
    r = found.residuals
    if r is None:
        return ""
    rows = []
    for k, name in enumerate(r.names):
        unit, limit = ("N·m", r.moment_limit) if r.rotational[k] else ("N", r.force_limit)
        column = r.values[:, k]
        rows.append(
            [
                escape(name),
                number(float(np.sqrt(np.nanmean(column**2)))),
                number(float(np.nanmax(np.abs(column)))),
                number(limit),
                escape(unit),
            ]
        )
    columns = ("root coordinate", "RMS", "largest", "limit", "unit")
    return f"<h3>Root residuals</h3>{table(columns, rows, numeric=(1, 2, 3))}"


def scales(found: Results) -> str:
    """Scale factors."""
    s = found.analysis.scales
    if s is None:
        return ""
    rows = [[escape(body), *(number(float(f), 3) for f in s.factors[k])] for k, body in enumerate(s.bodies)]
    inner = table(("body", "x (forward)", "y (up)", "z (right)"), rows, numeric=(1, 2, 3), tall=True)
    return section(
        "scales", "Scale factors", inner, "Size of each body relative to the generic model, along its own axes."
    )
