"""The figures as PNG files: colours that colour-blind people can tell apart, and lines that print can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import MissingExtraError
from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise import paper
from motorque.studies.noise.amplification import Amplification
from motorque.studies.noise.causes import Cause
from motorque.studies.noise.lowpass import FIRST, LowPass
from motorque.studies.noise.per_joint import PerJoint
from motorque.studies.noise.protocol import Subject
from motorque.studies.noise.realistic import Compared
from motorque.studies.noise.refinement import ADAM, ADAM_TWICE, JOINT, NOISY, REFINE, Refined
from motorque.studies.noise.statistics import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# Okabe and Ito 2008, Color Universal Design
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#555555"
STYLE: dict[str, dict[str, Any]] = {
    "central": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "central-twice": {"color": RED, "marker": "s", "linestyle": "--"},
}
PAPER: dict[str, Any] = {"color": "black", "marker": "*", "linestyle": "none", "markersize": 11}
DPI = 200


def figure(draw: Callable[[Axes], None], path: Path, *, width: float = 5.2, height: float = 3.8) -> None:
    """Draw one figure into a PNG file.

    Raises:
        MissingExtraError: There is no matplotlib.
    """
    canvas = _canvas(width, height)
    draw(canvas.add_subplot())
    canvas.savefig(path, dpi=DPI, format="png", metadata={"Software": "motorque"})


def needs_matplotlib() -> None:
    """Say so if there is no matplotlib.

    Raises:
        MissingExtraError: There is none.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "study: matplotlib is not installed; install it with: pip install 'motorque[studies]'"
        ) from error


def _canvas(width: float, height: float) -> Figure:
    needs_matplotlib()
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True})
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)  # no window, whatever the machine has
    return made


def amplification_figure(results: Sequence[Amplification]) -> Callable[[Axes], None]:
    """Figure 2 (a): error over level; the first motion with its interval, the others thin."""

    def draw(axes: Axes) -> None:
        first = results[0].subject
        for r in results:
            style = STYLE[r.stencil]
            values = [interval(x) for x in r.errors.joint]
            mean = np.array([v.mean for v in values])
            if r.subject == first:
                reach = np.array([[v.mean - v.low, v.high - v.mean] for v in values]).T
                label = f"{r.stencil}: {r.factor().mean:.0f} N·m/rad"
                axes.errorbar(r.sigmas, mean, reach, capsize=2, markersize=4, label=label, **style)
            else:
                axes.plot(r.sigmas, mean, color=style["color"], linestyle=style["linestyle"], linewidth=0.6, alpha=0.6)
        axes.plot(paper.SIGMA, paper.NOISY, label="paper, Table 1", **PAPER)
        axes.plot(paper.SIGMA, paper.UNIFORM, **{**PAPER, "markerfacecolor": "white"}, label="paper, 4.4 (uniform)")
        axes.plot(results[0].sigmas, paper.FACTOR * results[0].sigmas, color=GREY, linestyle=":", label="1,000 N·m/rad")
        axes.set(xscale="log", yscale="log", xlabel="noise: standard deviation of a component [rad]")
        axes.set_ylabel("torque error, mean over joints [N·m]")
        axes.grid(which="both", color="0.92")
        axes.legend(frameon=False)

    return draw


def joint_figure(results: Sequence[PerJoint]) -> Callable[[Axes], None]:
    """Figure 2 (b): error of noise on each joint alone, joints in the order of what hangs on them."""

    def draw(axes: Axes) -> None:
        order = np.argsort(-results[0].mass, kind="stable")
        place = np.arange(len(order))
        first = results[0].subject
        for r in results:
            values = [interval(r.errors.joint[i]) for i in order]
            style = STYLE[r.stencil]
            if r.subject == first:
                reach = np.array([[v.mean - v.low, v.high - v.mean] for v in values]).T
                axes.errorbar(
                    place, [v.mean for v in values], reach, capsize=2, color=style["color"], marker=style["marker"],
                    linestyle="none", markersize=4, label=r.stencil,
                )  # fmt: skip
            else:
                axes.plot(place, [v.mean for v in values], color=style["color"], linewidth=0.5, alpha=0.5)
        theirs = [
            (k, paper.ONE_JOINT[SMPL_JOINTS[i]]) for k, i in enumerate(order) if SMPL_JOINTS[i] in paper.ONE_JOINT
        ]
        axes.plot(*zip(*theirs, strict=True), label="paper", **PAPER)
        axes.set_yscale("log")
        labels = [f"{SMPL_JOINTS[i].replace('_', ' ')} ({results[0].mass[i]:.3g} kg)" for i in order]
        axes.set_xticks(place, labels, rotation=90, fontsize=7)
        axes.set_ylabel("torque error, mean over joints [N·m]")
        axes.set_xlabel("the one noisy joint (mass that hangs on it)")
        axes.grid(axis="y", which="both", color="0.92")
        axes.legend(frameon=False)

    return draw


def lowpass_figure(results: Sequence[LowPass]) -> Callable[[Axes], None]:
    """Figure 2 (c): error over cutoff, and what the filter makes of clean motion."""

    def draw(axes: Axes) -> None:
        first = results[0].subject
        for r in results:
            if r.kind != FIRST:
                continue
            style, values = STYLE[r.stencil], [interval(x) for x in r.errors.joint]
            mean = np.array([v.mean for v in values])
            if r.subject != first:
                axes.plot(r.cutoffs, mean, color=style["color"], linewidth=0.6, alpha=0.6)
                continue
            reach = np.array([[v.mean - v.low, v.high - v.mean] for v in values]).T
            axes.errorbar(r.cutoffs, mean, reach, capsize=2, markersize=4, label=f"noisy, {r.stencil}", **style)
            clean = {**style, "marker": "none", "linestyle": ":"}
            axes.plot(r.cutoffs, r.loss.joint, label=f"clean motion, {r.stencil}", **clean)
        axes.plot(paper.CUTOFF, paper.FILTERED, label="paper (from 88.4)", **PAPER)
        axes.set(yscale="log", xlabel="cutoff [Hz]", ylabel="torque error, mean over joints [N·m]")
        axes.grid(which="both", color="0.92")
        axes.legend(frameon=False, fontsize=7)

    return draw


def realistic_figure(results: Sequence[Compared], stencil: str) -> Callable[[Axes], None]:
    """Figure 2 (d): kinds of noise before and after 6 Hz; the first motion, with the paper's two beside."""

    def draw(axes: Axes) -> None:
        r = next(r for r in results if r.stencil == stencil)
        names = list(r.raw)
        rows = np.arange(len(names) + 2)
        raw, smooth = ([interval(x[name].joint) for name in names] for x in (r.raw, r.filtered))
        for values, shift, colour, label, hatch in (
            (raw, -0.2, ORANGE, "noisy", ""),
            (smooth, 0.2, BLUE, f"after {paper.CUTOFF:g} Hz", "//"),
        ):
            mean = [v.mean for v in values]
            reach = np.array([[v.mean - v.low, v.high - v.mean] for v in values]).T
            axes.barh(
                rows[2:] + shift, mean, 0.38, xerr=reach, color=colour, label=label, hatch=hatch, edgecolor="white",
                error_kw={"elinewidth": 0.8},
            )  # fmt: skip
        theirs = [paper.UNIFORM, paper.REALISTIC]
        axes.barh(rows[:2] - 0.2, theirs, 0.38, color="0.75", edgecolor="white")
        axes.barh(rows[:2] + 0.2, [paper.FILTERED] * 2, 0.38, color="0.45", edgecolor="white", hatch="//")
        axes.set_yticks(rows, ["paper: uniform", "paper: realistic", *names])
        axes.invert_yaxis()
        axes.set_xlabel(f"torque error [N·m] ({stencil})")
        axes.legend(frameon=False)

    return draw


def cause_figure(results: Sequence[Cause]) -> Callable[[Axes], None]:
    """How many times larger the error is for each change."""

    def draw(axes: Axes) -> None:
        changed = [r for r in results if r.group]
        ratio = [interval(r.errors.joint / r.base.joint) for r in changed]
        rows = np.arange(len(changed))
        reach = np.array([[v.mean - v.low, v.high - v.mean] for v in ratio]).T
        axes.errorbar([v.mean for v in ratio], rows, xerr=reach, fmt="o", color=BLUE, capsize=2, markersize=4)
        axes.axvline(1.0, color="black", linewidth=0.8)
        axes.axvspan(0.5, 2.0, color="0.94")
        axes.set(xscale="log", xlabel="times the protocol's torque error (grey: within 2)")
        axes.set_xticks([0.25, 0.5, 1, 2, 4, 8, 16], ["1/4", "1/2", "1", "2", "4", "8", "16"])
        axes.minorticks_off()
        axes.set_yticks(rows, [f"{r.group}: {r.change}" for r in changed], fontsize=7)
        axes.invert_yaxis()

    return draw


def hip_figure(subject: Subject, results: Sequence[Refined], times: Array, stencil: str) -> Callable[[Axes], None]:
    """Figure 3: length of the left hip's torque over time, clean, noisy and refined."""

    def draw(axes: Axes) -> None:
        by = {r.method: r.example[stencil] for r in results}
        paper_way = ADAM_TWICE if stencil == "central-twice" else ADAM
        clean = subject.chain(stencil).clean[0, :, SMPL_JOINTS.index(JOINT)]
        for values, colour, style, width, label in (
            (by[NOISY], "0.7", "-", 0.8, "noisy"),
            (by[paper_way], ORANGE, "--", 1.4, "refined: Adam, 200 iterations"),
            (by[REFINE], BLUE, "-.", 1.4, "refined: fitting.refine"),
            (clean, "black", "-", 1.2, "clean"),
        ):
            axes.plot(
                times, np.linalg.norm(values, axis=-1), color=colour, linestyle=style, linewidth=width, label=label
            )
        axes.set(xlabel="time [s]", ylabel=f"left hip: length of the torque [N·m] ({stencil})")
        axes.set_ylim(0.0, 3.0 * float(np.linalg.norm(clean, axis=-1).max()))  # the noise goes far beyond
        axes.legend(frameon=False, fontsize=7)

    return draw
