"""The top of the page: title, navigation, key figures, the 3D view, the subject and the checks; and its last line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motorque import __version__
from motorque.report.markup import badge, definitions, escape, number, tile, verdict
from motorque.report.pictures import Film
from motorque.report.quality import SOURCE, Check
from motorque.report.results import Results
from motorque.report.scene import played
from motorque.report.sections import TITLES
from motorque.report.video_section import film_caption
from motorque.report.viewer_markup import film_stage, viewer


def header(found: Results) -> str:
    """Title, recording and navigation."""
    a = found.analysis
    rate = "" if not np.isfinite(a.motion.rate) else f" at {number(a.motion.rate, 0)} Hz"
    files = (
        ", ".join(escape(f.path) for f in a.inputs if f.role in ("recording", "trial", "video")) or "built-in recording"
    )
    span = f"{number(a.times[0], 2)} to {number(a.times[-1], 2)} s"
    kind = "no gait" if found.gait.kind == "none" else escape(found.gait.kind)
    links = [("overview", "Overview")]
    links += [("video", "Video")] if found.video is not None else []
    links += [("certainty", "How sure")] if found.certainty is not None or a.cutoff is not None else []
    links += [(name, title) for name, (title, _) in TITLES.items() if found.curves[name]]
    links += [("gait", "Gait"), ("range", "Range of motion")]
    links += [("quality", "Quality")] if found.markers is not None or found.residuals is not None else []
    links += [("scales", "Scales")] if a.scales is not None else []
    links += [("notices", "Repairs & assumptions"), ("settings", "Settings")]
    nav = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in links)
    return f"""<header class="top">
<div class="brand">motorque · movement analysis report</div>
<h1>{escape(a.title)}</h1>
<p class="lead">{files} · {span}, {len(a.times)} frames{rate} · {kind}</p>
</header>
<nav aria-label="Sections"><div>{nav}</div></nav>"""


def footer() -> str:
    """Last line."""
    return (
        f"<footer>Made by motorque {escape(__version__)}. This file needs no network and no other file. "
        "Not a medical device: results support, and never replace, a clinician’s judgement.</footer>"
    )


def overview(found: Results, films: Sequence[Film] = ()) -> str:
    """Key figures, the 3D viewer with the video beside it, the subject and the checks.

    Args:
        found: What to show.
        films: Pictures of each view; none without video.
    """
    a = found.analysis
    tiles = [tile(number(a.times[-1] - a.times[0], 2), "s", "recording")]
    by_name = {m.name: m for m in found.gait.measures}
    for name, digits in (("Speed", 2), ("Cadence", 0)):
        if name in by_name:
            tiles.append(tile(number(float(np.mean(by_name[name].values)), digits), by_name[name].unit, name.lower()))
    tiles += _peak_tiles(found)
    if found.markers is not None:
        tiles.append(tile(number(1000 * found.markers.total_rms, 1), "mm", "marker error, RMS"))
    if found.video is not None and np.isfinite(error := found.video.views[0].total_rms):
        tiles.append(tile(number(error, 1), "px", "reprojection error, RMS"))
    counts = {kind: sum(n.kind == kind for n in a.journal.notices) for kind in ("warning", "repair", "assumption")}
    tiles.append(tile(str(counts["warning"]), "", "warnings, see the list below" if counts["warning"] else "warnings"))
    subject = a.subject
    height = "not known" if subject.height is None else f"{number(subject.height, 2)} m{_source(subject.height_source)}"
    panel = definitions(
        [
            ("Mass", f"{number(subject.mass, 1)} kg{_source(subject.mass_source)}"),
            ("Height", height),
            ("Sex", escape({"f": "female", "m": "male"}.get(subject.sex, "unknown")) + _source(subject.sex_source)),
            (
                "Model",
                f"{escape(a.skeleton.name)} "
                f"<small>{number(a.skeleton.total_mass(), 1)} kg, {a.skeleton.nq} coordinates</small>",
            ),
            ("Ground forces", _loads_words(found)),
        ]
    )
    checks = (
        f'<div class="panel card"><h3>Quality against recommended limits</h3>{_check_list(found.checks)}</div>'
        if found.checks
        else ""
    )
    who, warned = f'<div class="panel card"><h3>Subject</h3>{panel}</div>', _how_sure(found) + _first_warnings(found)
    shown = f'<div class="tiles">{"".join(tiles)}</div>'
    if found.video is None:
        content = f"""{shown}
<div class="split"><div>{viewer(len(played(a)), len(a.times))}</div>
<div>{who}{checks}{warned}</div></div>"""
    else:
        both = viewer(
            len(played(a)),
            len(a.times),
            film=film_stage([one.view.name for one in found.video.views]),
            film_caption=film_caption(found.video, films),
            film_shape=found.video.views[0].view.keypoints.size,
        )
        content = f"""{shown}
{both}
<div class="split even"><div>{who}</div><div>{checks}{warned}</div></div>"""
    return f'<section id="overview" aria-label="Overview">{content}</section>'


def _peak_tiles(found: Results) -> list[str]:
    tiles = []
    flexion = [r for r in found.ranges if r.label.key == "knee_angle"]
    if flexion:
        best = max(flexion, key=lambda r: max(abs(r.low), abs(r.high)))
        tiles.append(tile(number(max(abs(best.low), abs(best.high)), 0), "°", "largest knee flexion"))
    vertical = [c.values for c in found.curves["forces"] if c.key == "vertical" and np.isfinite(c.values).any()]
    if vertical:
        tiles.append(
            tile(number(max(float(np.nanmax(v)) for v in vertical), 0), "%BW", "peak vertical force of a foot")
        )
    return tiles


def _source(text: str) -> str:
    return f" <small>{escape(text)}</small>" if text else ""


def _loads_words(found: Results) -> str:
    if found.analysis.loads is None:
        return "none"
    return "measured by force plates" if found.analysis.loads_measured else "estimated from the motion"


def _check_list(checks: Sequence[Check]) -> str:
    rows = [
        [
            escape(c.name) + (f"<br><small>{escape(c.detail)}</small>" if c.detail else ""),
            f'<span class="fixed">{number(c.value, 1)} <small>of {number(c.limit, 1)} {escape(c.unit)}</small></span>',
            verdict(c.verdict),
        ]
        for c in checks
    ]
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><tbody>{body}</tbody></table></div><p class="note">Limits: {escape(SOURCE)}.</p>'
    )


def _how_sure(found: Results) -> str:
    if found.certainty is None:
        return ""
    more = '<p class="note"><a href="#certainty">How sure the results are</a></p>'
    sentence = escape(found.certainty.sentence)
    return f'<div class="panel card"><h3>Which torques to trust</h3><p>{sentence}</p>{more}</div>'


def _first_warnings(found: Results) -> str:
    warnings = [n for n in found.analysis.journal.notices if n.kind == "warning"]
    if not warnings:
        return ""
    items = "".join(f"<li><span>{badge('▲ warning', 'fair')}</span><p>{escape(n.text)}</p></li>" for n in warnings[:3])
    more = f'<p class="note"><a href="#notices">All {len(warnings)} warnings</a></p>' if len(warnings) > 3 else ""
    return f'<div class="panel card"><h3>Warnings</h3><ul class="notices">{items}</ul>{more}</div>'
