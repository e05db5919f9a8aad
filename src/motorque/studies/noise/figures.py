"""The figures as PNG files: colours that colour-blind people can tell apart, and lines that print can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.drawing import BLUE, GREY, ORANGE, RED, Array, Draw, error_bars
from motorque.studies.noise import paper
from motorque.studies.noise.amplification import Amplification
from motorque.studies.noise.causes import Cause
from motorque.studies.noise.lowpass import FIRST, LowPass
from motorque.studies.noise.per_joint import PerJoint
from motorque.studies.noise.realistic import Compared
from motorque.studies.statistics import Interval, interval, reduction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLE: dict[str, dict[str, Any]] = {
    "central": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "central-twice": {"color": RED, "marker": "s", "linestyle": "--"},
}
PAPER: dict[str, Any] = {"color": "black", "marker": "*", "linestyle": "none", "markersize": 13, "zorder": 1.9}
ERROR = "torque error, mean over joints [N·m]"


def widest(values: Sequence[Interval]) -> float:
    """The widest interval's half as a share of its mean [%]."""
    return max(50 * (v.high - v.low) / abs(v.mean) for v in values)


def _curve(axes: Axes, x: Array, values: Sequence[Interval], style: Mapping[str, Any], thin: bool, **more: Any) -> None:
    mean, reach = error_bars(values)
    if thin:
        axes.plot(x, mean, color=style["color"], linestyle=style["linestyle"], linewidth=0.6, alpha=0.5)
    else:
        axes.errorbar(x, mean, reach, **{"capsize": 3, "markersize": 3.5, "linewidth": 1.2, **style, **more})


def amplification_figure(results: Sequence[Amplification]) -> Draw:
    """Figure 2 (a): error over level, and their quotient; the first motion with its intervals, the others thin."""

    def draw(panels: Sequence[Axes]) -> None:
        first, (left, right) = results[0].subject, panels
        for r in results:
            style, thin = STYLE[r.stencil], r.subject != first
            label = f"{r.stencil}: {r.factor().mean:,.0f} N·m/rad"
            _curve(left, r.sigmas, [interval(x) for x in r.errors.joint], style, thin, label=label)
            quotients = [interval(x / s) for x, s in zip(r.errors.joint, r.sigmas, strict=True)]
            _curve(right, r.sigmas, quotients, style, thin)
        hollow = {**PAPER, "markerfacecolor": "white"}
        left.plot(paper.SIGMA, paper.NOISY, label="paper, Table 1", **PAPER)
        left.plot(paper.SIGMA, paper.UNIFORM, label="paper, 4.4 (uniform)", **hollow)
        left.plot(
            results[0].sigmas, paper.FACTOR * results[0].sigmas, color=GREY, linestyle=":",
            label="paper: about 1,000 N·m/rad",
        )  # fmt: skip
        right.plot(paper.SIGMA, paper.NOISY / paper.SIGMA, **PAPER)
        right.plot(paper.SIGMA, paper.UNIFORM / paper.SIGMA, **hollow)
        right.axhline(paper.FACTOR, color=GREY, linestyle=":")
        left.set(yscale="log", ylabel=ERROR)
        right.set(ylabel="torque error over the noise's level [N·m/rad]")
        right.set_ylim(bottom=0)
        ticks = [0.005, 0.01, 0.02, 0.05, 0.1]
        for axes in panels:
            axes.set(xscale="log", xlabel="noise: standard deviation of a component [rad]")
            axes.minorticks_off()
            axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
            axes.grid(color="0.92")
        ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if left.get_ylim()[0] < t < left.get_ylim()[1]]
        left.set_yticks(ticks, [f"{x:g}" for x in ticks])
        left.legend(frameon=False, fontsize=7, loc="upper left")

    return draw


def joint_figure(results: Sequence[PerJoint]) -> Draw:
    """Figure 2 (b): error of noise on each joint alone, joints in the order of what hangs on them."""

    def draw(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        order = np.argsort(-results[0].mass, kind="stable")
        place = np.arange(len(order), dtype=np.float64)
        first = results[0].subject
        for r in results:
            values = [interval(r.errors.joint[i]) for i in order]
            style = {**STYLE[r.stencil], "linestyle": "none"} if r.subject == first else STYLE[r.stencil]
            _curve(axes, place, values, style, r.subject != first, label=r.stencil)
        names = [SMPL_JOINTS[i] for i in order]
        theirs = [(k, paper.ONE_JOINT[name]) for k, name in enumerate(names) if name in paper.ONE_JOINT]
        axes.plot(*zip(*theirs, strict=True), label="paper", **PAPER)
        distal = [k for k, name in enumerate(names) if name in paper.DISTAL_JOINTS and name != "head"]
        axes.hlines(
            paper.DISTAL, min(distal) - 0.4, max(distal) + 0.4, color="black", linestyle=":",
            label="paper: distal joints lie below",
        )  # fmt: skip
        axes.set_yscale("log")
        labels = [f"{SMPL_JOINTS[i].replace('_', ' ')} ({results[0].mass[i]:.3g} kg)" for i in order]
        axes.set_xticks(place, labels, rotation=90, fontsize=7)
        axes.set_ylabel(ERROR)
        axes.set_xlabel("the one noisy joint (mass that hangs on it)")
        axes.grid(axis="y", color="0.92")
        axes.legend(frameon=False, fontsize=8)

    return draw


def lowpass_figure(results: Sequence[LowPass], clean: Mapping[str, float]) -> Draw:
    """Figure 2 (c): error over cutoff, what the filter makes of clean motion, and by how much the error falls.

    Args:
        results: Of all motions, the first of which is shown in full.
        clean: Mean torque of its clean motion by stencil [N·m].
    """

    def draw(panels: Sequence[Axes]) -> None:
        first, (left, right) = results[0].subject, panels
        for r in results:
            if r.kind != FIRST:
                continue
            style, thin = STYLE[r.stencil], r.subject != first
            _curve(left, r.cutoffs, [interval(x) for x in r.errors.joint], style, thin, label=f"noisy, {r.stencil}")
            falls = [interval(reduction(r.raw.joint, x)) for x in r.errors.joint]
            _curve(right, r.cutoffs, falls, style, thin, label=r.stencil)
            if not thin:
                lost = {**style, "marker": "none", "linestyle": ":"}
                left.plot(r.cutoffs, r.loss.joint, label=f"clean motion, {r.stencil}", **lost)
        mean = float(np.mean(list(clean.values())))
        left.axhline(mean, color="0.4", linewidth=0.8, label="mean torque of the clean motion")
        left.plot(paper.CUTOFF, paper.FILTERED, label="paper, from 88.4 N·m", **PAPER)
        right.plot(paper.CUTOFF, paper.FILTER_REDUCTION, label="paper", **PAPER)
        left.set(yscale="log", ylabel=ERROR)
        right.set(ylabel="torque error falls by [%]")
        ticks = [t for t in (0.01, 0.1, 1, 10, 100, 1000) if left.get_ylim()[0] < t < left.get_ylim()[1]]
        left.set_yticks(ticks, [f"{x:g}" for x in ticks])
        for axes in panels:
            axes.set_xlabel("cutoff [Hz]")
            axes.set_xticks(range(2, 15, 2))
            axes.grid(color="0.92")
        left.legend(frameon=False, fontsize=7, loc="lower left")
        right.legend(frameon=False, fontsize=8)

    return draw


def realistic_figure(results: Sequence[Compared], stencil: str) -> Draw:
    """Figure 2 (d): kinds of noise before and after 6 Hz; the first motion, with the paper's two above."""

    def draw(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        r = next(r for r in results if r.stencil == stencil)
        names = list(r.raw)
        rows = np.arange(len(names) + 2)
        for found, shift, colour, label, hatch in (
            (r.raw, -0.2, ORANGE, "noisy", ""),
            (r.filtered, 0.2, BLUE, f"after {paper.CUTOFF:g} Hz", "//"),
        ):
            mean, reach = error_bars([interval(found[name].joint) for name in names])
            axes.barh(
                rows[2:] + shift, mean, 0.38, xerr=reach, color=colour, label=label, hatch=hatch, edgecolor="white",
                error_kw={"elinewidth": 0.8, "capsize": 2},
            )  # fmt: skip
        axes.barh(rows[:2] - 0.2, [paper.UNIFORM, paper.REALISTIC], 0.38, color="0.75", edgecolor="white")
        axes.barh(rows[:2] + 0.2, [paper.FILTERED] * 2, 0.38, color="0.45", edgecolor="white", hatch="//")
        axes.axhline(1.5, color="0.6", linewidth=0.8)
        axes.set_yticks(rows, ["paper: uniform", "paper: realistic", *names])
        axes.invert_yaxis()
        axes.set_xlabel(f"{ERROR.removesuffix(' [N·m]')} [N·m], {stencil}")
        axes.legend(frameon=False, loc="center right", bbox_to_anchor=(1.0, 0.4))

    return draw


def cause_figure(results: Sequence[Cause]) -> Draw:
    """How many times larger the error is for each change, and where the paper's Table 1 lies."""

    def draw(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        changed = [r for r in results if r.group]
        mean, reach = error_bars([interval(r.errors.joint / r.base.joint) for r in changed])
        rows = np.arange(len(changed))
        axes.axvspan(0.5, 2.0, color="0.94")
        axes.axvline(1.0, color="black", linewidth=0.8)
        theirs = paper.NOISY / interval(changed[0].base.joint).mean
        axes.axvline(theirs, color=ORANGE, linestyle="--", linewidth=1.2, label=f"the paper's {paper.NOISY} N·m")
        axes.errorbar(mean, rows, xerr=reach, fmt="o", color=BLUE, capsize=4, markersize=3, elinewidth=1)
        axes.set(xscale="log", xlabel="times the protocol's torque error (grey: within twofold)")
        axes.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["1/4", "1/2", "1", "2", "4", "8", "16"])
        axes.minorticks_off()
        axes.set_yticks(rows, [f"{r.group}: {r.change}" for r in changed], fontsize=7)
        axes.invert_yaxis()
        axes.legend(frameon=False, fontsize=8, loc="lower right")

    return draw
