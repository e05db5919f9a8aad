"""The page's part about error bars: which torques to trust, how wide the bars are, what is in them and what is not."""

from __future__ import annotations

import numpy as np

from motorque.report.certainty import LEVEL, TRUSTED, WITH_CARE, Certainty, Sureness, Trust
from motorque.report.markup import badge, definitions, escape, number, section, table
from motorque.report.results import Results
from motorque.report.sections import SIDE_CELL
from motorque.uncertainty.cutoff import CutoffChoice

_BADGES: dict[Trust, tuple[str, str]] = {
    "trusted": ("✓ trust", "good"),
    "with care": ("▲ with care", "fair"),
    "not": ("✕ do not rely on", "poor"),
}
_SHOWN_CUTOFFS = (3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)


def certainty(found: Results) -> str:
    """The section; it is there without error bars too if the cutoff was chosen, and says why there are none."""
    sure, choice = found.certainty, found.analysis.cutoff
    if sure is None and choice is None:
        return ""
    content = "" if sure is None else _trust(sure) + _contents(sure)
    if choice is not None:
        content += _cutoff(choice)
    lead = "No error bars could be found; the warnings say why." if sure is None else sure.sentence
    return section("certainty", "How sure the results are", content, escape(lead))


def _trust(sure: Certainty) -> str:
    model = sure.bands.beside is not None
    torques = [
        [
            escape(t.label.title),
            SIDE_CELL[t.label.side],
            f"± {number(t.half)} {escape(t.unit)}",
            *([f"± {number(t.judged)}"] if model else []),
            number(t.size),
            f"{number(100 * t.share, 0)} %" if t.share < 10 else "> 1000 %",
            escape(t.source),
            "" if t.trust is None else badge(*_BADGES[t.trust]),
        ]
        for t in sure.torques
    ]
    shown = [
        "torque",
        "side",
        "90 % error bar",
        *(["with model"] if model else []),
        "size",
        "of size",
        "mostly from",
        "",
    ]
    numeric = range(2, len(shown) - 2)
    top = f"<h3>Torques</h3>{table(shown, torques, numeric=numeric, tall=True)}" if torques else ""
    loads = [
        [
            escape(x.name),
            escape(x.body),
            *(f"± {number(value)}" for value in x.force),
            *(f"± {number(1000 * value)}" for value in x.point),
        ]
        for x in sure.loads
    ]
    names = ("load", "on", "Fx [N]", "Fy [N]", "Fz [N]", "point x [mm]", "point z [mm]")
    angles = table(("coordinate", "side", "90 % error bar", "mostly from"), _rows(sure.angles), numeric=(2,), tall=True)
    left = f"<h3>Angles</h3>{angles}"
    right = f"<h3>Loads</h3>{table(names, loads, numeric=range(2, 7), tall=True)}" if loads else ""
    note = (
        f"Half widths of {LEVEL:.0%} error bars (1.645 standard deviations), medians over time; curves over time "
        "have them as bands, and kinematics_std.sto, kinetics_std.sto and loads_std.sto for every frame. A torque’s "
        f"size is the 95th percentile of its magnitude. Trust: to {TRUSTED:.0%} of it; with care: to {WITH_CARE:.0%}. "
    )
    if model:
        note += (
            "What is judged has the usual errors of a model on top (masses, joint centres, centre of pressure), which "
            "no recording shows, as far as the error bar itself leaves them out."
        )
    return f'{top}<div class="split even"><div>{left}</div><div>{right}</div></div><p class="note">{escape(note)}</p>'


def _rows(angles: list[Sureness]) -> list[list[str]]:
    return [
        [
            escape(a.label.title),
            SIDE_CELL[a.label.side],
            f"± {number(a.half, 2 if a.unit == '°' else 1)} {escape(a.unit)}",
            escape(a.source),
        ]
        for a in angles
    ]


def _contents(sure: Certainty) -> str:
    b = sure.bands
    way = f"{b.draws} draws through the whole chain (seed {b.seed})" if b.draws else "linear propagation"
    panels = ""
    for title, listed in (("In the error bars", b.included), ("Not in them", b.excluded)):
        pairs = definitions([(name, escape(text)) for name, text in listed.items()])
        panels += f'<div><h3>{title}</h3><div class="panel card">{pairs}</div></div>' if listed else ""
    return f'<div class="split">{panels}</div><p class="note">Found by {escape(way)}.</p>'


def _cutoff(choice: CutoffChoice) -> str:
    """Error of the torques at the cutoffs that were tried."""
    wanted = {int(np.abs(choice.tried - c).argmin()) for c in (*_SHOWN_CUTOFFS, choice.cutoff)}
    rows = []
    for k in sorted(wanted):
        taken = choice.tried[k] == choice.cutoff
        total = float(np.hypot(choice.noise[k], choice.loss[k]))
        rows.append(
            [
                f"<b>{number(choice.tried[k])}</b>" if taken else number(choice.tried[k]),
                number(choice.noise[k], 2),
                number(choice.loss[k], 2),
                f"<b>{number(total, 2)}</b>" if taken else number(total, 2),
                badge("taken", "good") if taken else "",
            ]
        )
    columns = ("cutoff [Hz]", "noise that passes", "movement that is lost", "expected error [N·m]", "")
    reason = choice.reason[:1].upper() + choice.reason[1:]
    return (
        f"<h3>Why this filter</h3><p>{escape(reason)}. --cutoff takes another.</p>"
        f"{table(columns, rows, numeric=range(4))}"
    )
