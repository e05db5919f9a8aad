"""The page: one HTML file that carries its data, its scripts and its looks, and asks the network for nothing."""

from __future__ import annotations

import base64
import functools
import gzip
import importlib.util
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from motorque.errors import MissingExtraError
from motorque.report import certainty_section, page_end, page_top, sections, video_section
from motorque.report.film import films, packed_films
from motorque.report.markup import escape
from motorque.report.pictures import Film
from motorque.report.plots import Plot, plots, thinned
from motorque.report.results import Results
from motorque.report.scene import packed, scene

# Nothing may be fetched, not even by mistake: images only from the page itself, scripts and styles only inline.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


def page(found: Results) -> str:
    """The whole report as HTML."""
    drawn, shot = plots(found), films(found)
    body = "\n".join(
        part
        for part in (
            page_top.overview(found, shot),
            video_section.video(found, drawn),
            certainty_section.certainty(found),
            *sections.curves(found, drawn),
            sections.gait(found),
            sections.motion_range(found),
            sections.quality(found, drawn),
            sections.scales(found),
            page_end.notices(found.analysis.journal),
            page_end.settings(found),
        )
        if part
    )
    return document(
        found.analysis.title,
        f"""{page_top.header(found)}
<main>
<noscript>The 3D view and the plots need JavaScript; the tables below do not.</noscript>
{body}
</main>
{page_top.footer()}""",
        _data(found, drawn, shot),
        pictures=_pictures(shot),
        scripts=("viewer.js", *(("video.js",) if found.video is not None else ()), "charts.js"),
    )


def document(title: str, body: str, data: str, *, pictures: str = "", scripts: Sequence[str] = ("charts.js",)) -> str:
    """A whole page in the house's looks.

    Args:
        title: Of the page, any text.
        body: Ready-made HTML.
        data: What the plots are drawn from, JSON that :func:`in_script` has made safe.
        pictures: Ready-made elements with pictures.
        scripts: The scripts of the page, of the package's assets, in the order in which they run.
    """
    run = "\n".join(f"<script>{_asset(name)}</script>" for name in scripts)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="generator" content="motorque">
<title>{escape(title)} · motorque</title>
<link rel="icon" href="data:,">
<style>{_asset("report.css")}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
{pictures}
<!-- plotly.js, (c) Plotly, Inc., MIT license, gzip and base64 -->
<script type="text/plain" id="plotly">{_plotly()}</script>
{run}
</body>
</html>
"""


def _pictures(shot: Sequence[Film]) -> str:
    """Each view's pictures, one after the other, base64."""
    return "".join(
        f'<script type="text/plain" id="film-{k}">{base64.b64encode(b"".join(one.pictures)).decode("ascii")}</script>\n'
        for k, one in enumerate(shot)
    )


def _data(found: Results, drawn: list[Plot], shot: Sequence[Film]) -> str:
    analysis, gait = found.analysis, found.gait
    mean_off = {
        side: float(np.mean(offs)) if (offs := [c.stance for c in gait.cycles[side] if c.stance is not None]) else None
        for side in ("r", "l")
    }
    heading, follow = 0.0, False
    if found.feet is not None:
        ahead = found.feet.direction.mean(0)
        heading = float(np.arctan2(ahead[2], ahead[0]))
        path = np.ptp(analysis.center_of_mass[:, [0, 2]], axis=0)
        follow = bool(np.hypot(*path) > 3.0)
    data = {
        "mass": analysis.subject.mass,
        "times": packed(analysis.times[thinned(analysis.times)]),
        "plots": [p.data for p in drawn],
        "events": [{"time": round(e.time, 4), "side": e.side, "kind": e.kind} for e in gait.events],
        "cycles": {side: [[c.start, c.end, c.split] for c in gait.cycles[side]] for side in ("r", "l")},
        "toeOff": mean_off,
        "hasCycles": gait.has_cycles,
        "scene": {**scene(analysis), "heading": heading, "follow": follow, "poster": 0.35},
    }
    if found.video is not None:
        data["video"] = packed_films(found, shot)
    return in_script(data)


def in_script(data: Mapping[str, object]) -> str:
    """Data as JSON that can stand in a script element."""
    # "<" can't close the script element from inside a string when it is written as an escape.
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _asset(name: str) -> str:
    return (resources.files("motorque.report") / "assets" / name).read_text(encoding="utf-8")


@functools.cache
def _plotly() -> str:
    """plotly.js as the plotly package ships it, compressed to a third; found without importing plotly (that is slow).

    Raises:
        MissingExtraError: The plotly package is not installed.
    """
    spec = importlib.util.find_spec("plotly")
    script = (
        None if spec is None or spec.origin is None else Path(spec.origin).parent / "package_data" / "plotly.min.js"
    )
    if script is None or not script.is_file():
        raise MissingExtraError("report: the plotly package is not installed; install it with: pip install plotly")
    return base64.b64encode(gzip.compress(script.read_bytes(), compresslevel=6, mtime=0)).decode("ascii")
