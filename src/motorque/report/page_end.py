"""The end of the page: every repair, assumption and warning; settings, versions, files and how to cite."""

from __future__ import annotations

from collections.abc import Sequence

from motorque import __version__
from motorque.journal import Journal
from motorque.report.analysis import Analysis
from motorque.report.markup import badge, definitions, escape, number, section
from motorque.report.results import Results

_KINDS = {
    "warning": ("▲ warning", "fair", "The result may be wrong"),
    "repair": ("✎ repair", "repair", "The data were changed"),
    "assumption": ("? assumption", "good", "Chosen for you, because nothing was said"),
    "info": ("i note", "plain", "Worth knowing"),
}


def notices(journal: Journal) -> str:
    """Every repair, assumption and warning, worst first."""
    listed = journal.notices
    content = ""
    for kind, (word, style, meaning) in _KINDS.items():
        mine = [n for n in listed if n.kind == kind]
        if not mine:
            continue
        items = "".join(
            f"<li><span>{badge(word, style)}</span><div><p>{escape(n.text)}</p>"
            + (f"<small>{escape(n.about)}</small>" if n.about else "")
            + "</div></li>"
            for n in mine
        )
        content += f'<h3>{escape(meaning)}</h3><div class="panel card"><ul class="notices">{items}</ul></div>'
    lead = (
        "Nothing was changed or chosen without a line here."
        if listed
        else "Nothing had to be repaired, assumed or warned about."
    )
    return section("notices", "Repairs, assumptions and warnings", content, escape(lead))


def settings(found: Results) -> str:
    """Settings, versions, files, timings and how to cite."""
    a = found.analysis
    return provenance(a, _citations(found))


def provenance(of: Analysis, citations: str) -> str:
    """Command, settings, versions, files and how to cite, given as HTML."""
    inputs = [
        (f.role, f"{escape(f.path)}<br><small><code>{escape(f.sha256 or 'no file')}</code></small>") for f in of.inputs
    ]
    chosen = _panel("Settings", [(str(k), escape(v)) for k, v in of.settings.items()])
    versions = _panel("Versions", [(str(k), escape(v)) for k, v in of.versions.items()])
    timings = _panel("Seconds per step", [(str(k), number(float(v), 2)) for k, v in of.timings.items()])
    parts = [
        f"<h3>Command</h3><pre>{escape(of.command)}</pre>" if of.command else "",
        f'<div class="split"><div>{chosen}</div><div>{versions}{timings}</div></div>',
        _panel("Files (SHA-256)", inputs),
        f'<h3>How to cite</h3><div class="panel card">{citations}</div>',
    ]
    return section("settings", "Settings and versions", "".join(parts))


def _panel(title: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f'<h3>{escape(title)}</h3><div class="panel card">{definitions(pairs)}</div>' if pairs else ""


def _citations(found: Results) -> str:
    works = [f"motorque {__version__}. How to cite it stands in the project’s CITATION.cff."]
    if any(e.source == "kinematics" for e in found.gait.events):
        works.append(
            "Gait events: Zeni JA, Richards JG, Higginson JS (2008). Two simple methods for determining gait events "
            "during treadmill and overground walking using kinematic data. Gait Posture 27:710–714."
        )
    works.append(
        "Limits: Hicks JL, Uchida TK, Seth A, Rajagopal A, Delp SL (2015). Is my model good enough? Best practices for "
        "verification and validation of musculoskeletal models and simulations of movement. J Biomech Eng 137:020905."
    )
    return "".join(f"<p>{escape(w)}</p>" for w in works)
