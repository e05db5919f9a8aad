"""The page's part about the video: what was followed, where the camera is, what it sees and what it hardly sees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from motorque.report.labels import both_sides
from motorque.report.markup import badge, definitions, escape, number, section, table
from motorque.report.pictures import Film
from motorque.report.plots import Plot
from motorque.report.results import Results
from motorque.report.sections import SIDE_CELL, figure
from motorque.report.video_results import FAIRLY, SIGHT_SOURCE, WELL, AngleSight, VideoResults, ViewResult

_STYLE = {"well": "good", "fairly": "fair", "hardly": "poor"}
_MEANING = {
    "well": f"to {number(WELL, 0)}° or better, as in a laboratory",
    "fairly": f"to {number(WELL, 0)} to {number(FAIRLY, 0)}°, to be read with care",
    "hardly": f"to worse than {number(FAIRLY, 0)}°, which may mislead: do not read a difference of that size",
}
_FULL_BAR = 15.0  # [deg]; a standard deviation that fills the bar


def video(found: Results, drawn: Sequence[Plot]) -> str:
    """The section, or nothing for a motion without video."""
    v = found.video
    if v is None:
        return ""
    cameras = "".join(_camera_panel(one, len(v.views)) for one in v.views)
    content = f'<div class="split"><div>{_sights(v)}</div><div>{_who(v)}{cameras}</div></div>'
    mine = [(k, p) for k, p in enumerate(drawn) if p.section == "video"]
    content += (
        '<h3>Reprojection error</h3><div class="split">'
        f'<div>{_errors(v)}</div><div class="column">{"".join(figure(k, p) for k, p in mine)}</div></div>'
    )
    content += (
        '<p class="note">How far a keypoint that the detector found lies from that of the fitted skeleton in the '
        "picture, in pixels of the video as it was recorded; in centimetres at the distance of the person. It says how "
        "well skeleton and detector agree, not how far both are from the truth: an error along the line of sight does "
        "not show in it.</p>"
    )
    what = "these views see" if len(v.views) > 1 else "this view sees"
    return section("video", "Video", content, escape(f"What the motion rests on, and what {what} well and hardly."))


def facts(v: VideoResults) -> list[tuple[str, str]]:
    """Detector and people followed, as names and ready-made values."""
    people = [(one.view.name, one.view.person) for one in v.views if one.view.person]
    pairs = [("Detector", escape(v.evidence.detector))] if v.evidence.detector else []
    for name, person in people:
        pairs.append(("Person followed" + (f", {name}" if len(v.views) > 1 else ""), escape(person)))
    return pairs


def _who(v: VideoResults) -> str:
    pairs = facts(v)
    notes = "".join(f"<li><span>{badge('i note', 'plain')}</span><p>{escape(n)}</p></li>" for n in v.evidence.notes)
    made = f'<div class="panel card"><h3>Detector and person</h3>{definitions(pairs)}</div>' if pairs else ""
    if notes:
        made += f'<div class="panel card"><h3>About the video</h3><ul class="notices">{notes}</ul></div>'
    return made


def _camera_panel(one: ViewResult, views: int) -> str:
    s, view = one.standpoint, one.view
    wide, tall = view.keypoints.size
    mean, low, high = s.distance
    looks = "level" if abs(s.pitch) < 0.5 else f"{number(abs(s.pitch))}° {'up' if s.pitch > 0 else 'down'}"
    leans = "" if abs(s.roll) < 0.5 else f", turned {number(abs(s.roll))}° {'' if s.roll > 0 else 'counter-'}clockwise"
    pairs = [
        ("File", escape(view.file)),
        ("Picture", f"{wide} × {tall} px, {len(view.keypoints.times)} frames used"),
        (
            "Field of view",
            f"{number(s.field_of_view[0])}° × {number(s.field_of_view[1])}° "
            f"<small>focal length {number(s.focal_length, 0)} px</small>",
        ),
        ("Looks", f"{looks}{leans}"),
        ("Height", f"{number(s.height, 2)} m above the ground"),
        ("Distance", f"{number(mean, 2)} m <small>{number(low, 2)} to {number(high, 2)} m</small>"),
        ("Sees the person", f"from {escape(s.sees_from)}" if s.turning <= 60 else escape(s.sees_from)),
    ]
    if view.camera_source:
        pairs.append(("Camera from", escape(view.camera_source)))
    title = "Camera" if views == 1 else f"Camera {view.name}"
    return f'<div class="panel card"><h3>{escape(title)}</h3>{definitions(pairs)}</div>'


def _sights(v: VideoResults) -> str:
    what = "these views see" if len(v.views) > 1 else "this view sees"
    if not v.sights:
        return f'<h3>What {what}</h3><p class="note">Nothing is known of how certain the angles are.</p>'
    sentences = ""
    for sight, members in groupby([s for s in v.sights if s.sight], key=lambda s: s.sight):
        names = ", ".join(both_sides(s.label for s in members))
        sentences += f"<p>{badge(sight, _STYLE[sight])} {escape(names)} <small>({escape(_MEANING[sight])})</small></p>"
    rows = [_sight_row(s) for s in v.sights]
    inner = table(("coordinate", "side", "", "± 1 SD", "seen"), rows, numeric=(3,), tall=True)
    return (
        f'<h3>What {what} well, fairly and hardly</h3><div class="panel card sights">{sentences}</div>{inner}'
        '<p class="note">Standard deviations as the fit estimates them from its keypoints and assumptions, typical '
        "over the recording; a detector that is off in the same way all the time adds to them. Classes after "
        f"{escape(SIGHT_SOURCE)}.</p>"
    )


def _sight_row(s: AngleSight) -> list[str]:
    if not s.label.rotational:
        return [escape(s.label.title), SIDE_CELL[s.label.side], "", f"{number(100 * s.std)} cm", ""]
    width = min(100.0, 100.0 * s.std / _FULL_BAR)
    return [
        escape(s.label.title),
        SIDE_CELL[s.label.side],
        f'<td class="bar-cell"><i class="{_STYLE[s.sight]}" style="width:{width:.1f}%"></i></td>',
        f"{number(s.std)}°",
        badge(s.sight, _STYLE[s.sight]),
    ]


def _errors(v: VideoResults) -> str:
    several = len(v.views) > 1
    rows = []
    for one in v.views:
        top = max([e.rms for e in one.keypoints if np.isfinite(e.rms)], default=1.0) or 1.0
        name = [escape(one.view.name)] if several else []
        rows.append(
            [
                *name,
                "<b>all</b>",
                "",
                f"<b>{number(one.total_rms)}</b>",
                "",
                f"<b>{number(100 * one.total_rms_m)}</b>",
                number(one.total_median),
                "",
                "",
                "",
            ]
        )
        for e in one.keypoints:
            width = 100 * e.rms / top if np.isfinite(e.rms) else 0.0
            rows.append(
                [
                    *name,
                    escape(e.name.rsplit("_", 1)[0].replace("_", " ") if e.side else e.name.replace("_", " ")),
                    SIDE_CELL[e.side],
                    number(e.rms),
                    f'<td class="bar-cell"><i style="width:{width:.1f}%"></i></td>',
                    number(100 * e.rms_m),
                    number(e.median),
                    number(e.maximum),
                    number(e.worst_time, 2),
                    number(100 * e.seen, 0),
                ]
            )
    columns = ("keypoint", "side", "RMS px", "", "RMS cm", "median px", "largest px", "at s", "seen %")
    numeric = (2, 4, 5, 6, 7, 8)
    if several:
        return table(("view", *columns), rows, numeric=[k + 1 for k in numeric], tall=True)
    return table(columns, rows, numeric=numeric, tall=True)


def film_caption(v: VideoResults, films: Sequence[Film]) -> str:
    """What to say about the pictures beside the 3D view: which there are, and that they are in this file."""
    parts = [
        "Lines: the fitted skeleton at the time of the picture, right side blue, left side orange. Dots: the keypoints "
        "that the detector found. Rings: those of the skeleton, joined to the detector’s. The head is drawn for "
        "orientation only."
    ]
    several = len(films) > 1
    for one, film in zip(v.views, films, strict=True):
        name = f"{one.view.name}: " if several else ""
        if not film.pictures:
            continue
        if film.until is not None:
            end = f"pictures of the first {number(film.until - film.times[0], 0)} s only"
            parts.append(f"{name}{end}, at {number(film.rate, 0)} a second.")
        else:
            parts.append(f"{name}{len(film.pictures)} pictures, {number(film.rate, 0)} a second.")
    troubles = [f"{one.view.name}: {film.trouble}." for one, film in zip(v.views, films, strict=True) if film.trouble]
    made = " ".join(escape(p) for p in [*parts, *troubles])
    if any(film.pictures for film in films):
        private = (
            "The head of the person followed is made unrecognisable; other people are not."
            if v.evidence.blur_faces
            else "Whoever gets it sees the person; --blur-faces makes the person’s head unrecognisable."
        )
        made += (
            f" <b>Privacy: the video’s pictures are inside this file.</b> {escape(private)} With --no-pictures the "
            "report holds none."
        )
    else:
        made += " This report holds no pictures of the video, only where keypoints and skeleton were in it."
    return made
