"""The figures of an evaluation, and what is written under each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motorque.studies.drawing import Draw, error_bars, figure
from motorque.studies.inpose import cast
from motorque.studies.inpose.experiments import Experiment
from motorque.studies.inpose.results import Results
from motorque.studies.inpose.tables import SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = tuple[str, str, Draw, dict[str, Any]]
"""Name of the file without its ending, caption, what draws it, and its size."""

# Okabe and Ito 2008, Color Universal Design; yellow is left out, which paper swallows
STYLE: dict[str, dict[str, Any]] = {
    cast.INPOSE: {"color": "#56B4E9", "marker": "o"},
    cast.HEAD: {"color": "#0072B2", "marker": "s"},
    cast.MEAN_OF_4: {"color": "#003A5C", "marker": "P"},
    cast.UNTOLD: {"color": "#0072B2", "marker": "s", "linestyle": ":", "fillstyle": "none"},
    cast.LIKE_PAPER: {"color": "#56B4E9", "marker": "o", "linestyle": ":", "fillstyle": "none"},
    cast.PRIOR_IK: {"color": "#009E73", "marker": "^", "linestyle": "--"},
    cast.MEAN_IK: {"color": "#555555", "marker": "v", "linestyle": "--"},
    cast.GLOBAL: {"color": "#D55E00", "marker": "D", "linestyle": "-."},
    cast.LOCAL: {"color": "#E69F00", "marker": "d", "linestyle": "-."},
    cast.GLOBAL_4: {"color": "#8A3B00", "marker": "D", "linestyle": "-."},
    cast.LOCAL_4: {"color": "#A87400", "marker": "d", "linestyle": "-."},
    cast.REGRESSION: {"color": "#CC79A7", "marker": "X", "linestyle": "-."},
}
"""Of the methods that stand in several figures."""
OTHER: dict[str, Any] = {"color": "black", "marker": "*", "linestyle": "-"}
LINES = {"scales": ("mpjpe", "mpjre"), "place_noise": ("mpjpe", "mpjre", "velocity"),
         "rotation_noise": ("mpjpe", "mpjre"), "bone_errors": ("mpjpe", "mpjre")}  # fmt: skip
BARS = {"shapes": ("mpjpe", "mpjre", "upe", "lpe")}


def draw_pictures(experiments: Sequence[Experiment], results: Results, folder: Path, told: str) -> dict[str, str]:
    """Draw all figures that there are results for.

    Args:
        experiments: What was asked.
        results: What came out.
        folder: Where the files go.
        told: How it was made; goes into every file.

    Returns:
        Captions by file name.

    Raises:
        MissingExtraError: There is no matplotlib.
    """
    made = {}
    for name, caption, draw, size in _pictures(experiments, results):
        figure(draw, folder / f"{name}.png", told=f"{caption} {told}", **size)
        made[f"{name}.png"] = caption
    return made


def _pictures(experiments: Sequence[Experiment], results: Results) -> Iterator[Picture]:
    for experiment in experiments:
        there = [m for m in experiment.methods if any(results.has(m, c.name) for c in experiment.conditions)]
        bars = "Bars: 95 % intervals over people and recordings."
        if experiment.name in LINES and there:
            measures = LINES[experiment.name]
            size: dict[str, Any] = {"width": 3.6 * len(measures), "height": 4.0, "columns": len(measures)}
            yield (
                experiment.name,
                f"{experiment.title}. {bars}",
                lines_figure(experiment, there, measures, results),
                size,
            )
        if experiment.name in BARS and there:
            size = {"width": 7.6, "height": 9.0, "rows": len(BARS[experiment.name]), "sharex": True}
            yield (
                experiment.name,
                f"{experiment.title}. {bars}",
                bars_figure(experiment, there, BARS[experiment.name], results),
                size,
            )


def lines_figure(experiment: Experiment, methods: Sequence[str], measures: Sequence[str], results: Results) -> Draw:
    """Errors over what is changed, a panel for each measure."""

    def draw(panels: Sequence[Axes]) -> None:
        for panel, measure in zip(panels, measures, strict=True):
            for number, method in enumerate(methods):
                found = [(x, results.mean(method, c.name, measure)) for x, c in _points(experiment)]
                there = [(x, value) for x, value in found if value is not None]
                if not there:
                    continue
                mean, reach = error_bars([value for _, value in there])
                # Methods side by side, so that their bars can be told apart
                shift = 0.004 * (number - len(methods) / 2) * (max(experiment.values) - min(experiment.values))
                x = np.array([x for x, _ in there]) + shift
                style = {"linestyle": "-", **STYLE.get(method, OTHER)}
                panel.errorbar(x, mean, reach, capsize=2, markersize=4, linewidth=1.2, label=method, **style)
            panel.set_xlabel(experiment.axis)
            panel.set_ylabel(SHOWN[measure])
            panel.set_ylim(bottom=0)
            panel.grid(axis="y", linewidth=0.4, alpha=0.5)
        _legend(panels[0])

    return draw


def bars_figure(experiment: Experiment, methods: Sequence[str], measures: Sequence[str], results: Results) -> Draw:
    """Errors of all methods side by side in each condition, a panel for each measure."""

    def draw(panels: Sequence[Axes]) -> None:
        width = 0.8 / len(methods)
        for panel, measure in zip(panels, measures, strict=True):
            for number, method in enumerate(methods):
                found = [(i, results.mean(method, c.name, measure)) for i, c in enumerate(experiment.conditions)]
                there = [(i, value) for i, value in found if value is not None]
                mean, reach = error_bars([value for _, value in there])
                x = np.array([i for i, _ in there]) + width * (number + 0.5) - 0.4
                color = STYLE.get(method, OTHER)["color"]
                panel.bar(x, mean, width, yerr=reach, color=color, label=method, error_kw={"linewidth": 0.7})
            panel.set_ylabel(SHOWN[measure])
        names = [condition.name.replace(", ", ",\n") for condition in experiment.conditions]
        panels[-1].set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=7)
        _legend(panels[0])

    return draw


def _points(experiment: Experiment) -> Iterator[tuple[float, Any]]:
    return zip(experiment.values, experiment.conditions, strict=True)


def _legend(panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    made: Mapping[str, Any] = {"loc": "outside upper center", "ncols": 3, "fontsize": 7, "frameon": False}
    figure_of = panel.get_figure()
    if figure_of is not None:
        figure_of.legend(handles, labels, **made)
