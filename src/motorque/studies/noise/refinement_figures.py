"""Figures 1 and 3, the left hip's torque over time, and what the refinement's settings change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from motorque.studies.drawing import BLUE, ORANGE, RED, Array, Draw, error_bars
from motorque.studies.noise import paper
from motorque.studies.noise.figures import STYLE
from motorque.studies.noise.refinement import ADAM, ADAM_TWICE, NOISY, REFINE, Refined
from motorque.studies.statistics import interval, reduction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = (0.05, 0.95)
"""Quantiles over draws between which a band lies, frame by frame."""
LENGTH = "left hip: length of the torque [N·m]"


def _draws(axes: Axes, times: Array, torques: Array, colour: str, label: str, style: str = "-") -> None:
    """The first of several draws as a line, all of them as a band; torques of shape [S, T, 3]."""
    lengths = np.linalg.norm(torques, axis=-1)
    if len(lengths) > 1:
        axes.fill_between(times, *np.quantile(lengths, BAND, axis=0), color=colour, alpha=0.22, linewidth=0)
    axes.plot(times, lengths[0], color=colour, linestyle=style, linewidth=1.1, label=label)


def _legend_above(axes: Axes, title: str = "") -> None:
    """A legend that can't cover a curve."""
    if title:
        axes.set_title(title, loc="right", fontsize=9)
    axes.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.1)


def teaser_figure(clean: Mapping[str, Array], noisy: Mapping[str, Array], times: Array) -> Draw:
    """Figure 1: what noise makes of one joint's torque.

    Args:
        clean: The joint's torque by stencil [N·m], shape [T, 3].
        noisy: That of noisy poses [N·m], shape [S, T, 3].
        times: Of the frames [s], shape [T].
    """

    def draw(panels: Sequence[Axes]) -> None:
        for axes, stencil in zip(panels, clean, strict=True):
            _draws(axes, times, noisy[stencil], STYLE[stencil]["color"], f"noise of {paper.SIGMA:g} rad")
            axes.plot(times, np.linalg.norm(clean[stencil], axis=-1), color="black", linewidth=1.4, label="clean")
            axes.set_ylim(bottom=0)
            axes.grid(color="0.92")
            axes.margins(x=0.01)
            _legend_above(axes, title=stencil)
        panels[0].figure.supylabel(LENGTH, fontsize=9)
        panels[-1].set_xlabel("time [s]")

    return draw


def hip_figure(clean: Array, results: Sequence[Refined], times: Array, stencil: str) -> Draw:
    """Figure 3: the left hip's torque over time, noisy (above), and refined on a scale of its own (below)."""

    def draw(panels: Sequence[Axes]) -> None:
        above, below = panels
        by = {r.method: r.example[stencil] for r in results if stencil in r.example}
        true = np.linalg.norm(clean, axis=-1)

        def label(name: str, method: str) -> str:
            off = np.linalg.norm(by[method] - clean, axis=-1).mean()
            return f"{name}: off by {off:.1f} N·m"

        _draws(above, times, by[NOISY], "0.55", label("noisy", NOISY))
        own = ADAM_TWICE if stencil == "central-twice" else ADAM
        _draws(below, times, by[own], ORANGE, label("refined, Adam, 200 iterations", own), "--")
        _draws(below, times, by[REFINE], BLUE, label("refined, the package's way", REFINE), "-.")
        for axes in panels:
            axes.plot(times, true, color="black", linewidth=1.4, label="clean")
            axes.set_ylim(bottom=0)
            axes.grid(color="0.92")
            axes.margins(x=0.01)
            _legend_above(axes)
        below.set_xlabel("time [s]")
        panels[0].figure.supylabel(f"{LENGTH}, {stencil}", fontsize=9)

    return draw


def weight_figure(results: Sequence[Refined], stencil: str) -> Draw:
    """What the refinement's settings change: the fall of the torque error, and that of the pose error."""

    def draw(panels: Sequence[Axes]) -> None:
        raw = next(r for r in results if r.method == NOISY)
        settings = [r for r in results if r.method != NOISY]
        rows = np.arange(len(settings))
        left, right = panels
        falls = [interval(reduction(raw.errors[stencil].joint, r.errors[stencil].joint)) for r in settings]
        moves = [interval(reduction(raw.pose, r.pose)) for r in settings]
        torque, pose = (
            100 * (1 - b / a) for a, b in ((paper.NOISY, paper.REFINED), (paper.NOISY_POSE, paper.REFINED_POSE))
        )
        for axes, values, theirs, what in ((left, falls, torque, "torque"), (right, moves, pose, "pose")):
            mean, reach = error_bars(values)
            axes.axvline(theirs, color=ORANGE, linestyle="--", linewidth=1.2, label="the paper's")
            axes.errorbar(mean, rows, xerr=reach, fmt="o", color=BLUE, capsize=4, markersize=3, elinewidth=1)
            axes.set_xlabel(f"{what} error falls by [%]")
            axes.grid(axis="x", color="0.92")
        right.axvline(0.0, color=RED, linewidth=0.8, label="as noisy as before")
        left.set_yticks(rows, [r.method for r in settings], fontsize=8)
        left.invert_yaxis()
        left.legend(frameon=False, fontsize=7)
        right.legend(frameon=False, fontsize=7)

    return draw
