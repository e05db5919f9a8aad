"""Drawing figures into PNG files: colours that colour-blind people can tell apart, and no window anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import MissingExtraError
from motorque.studies.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Draw = Callable[[Sequence["Axes"]], None]
"""Draws one figure into its panels."""

# Okabe and Ito 2008, Color Universal Design
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#555555"
DPI = 200


def figure(
    draw: Draw,
    path: Path,
    *,
    width: float = 5.2,
    height: float = 3.8,
    rows: int = 1,
    columns: int = 1,
    told: str = "",
    **shared: Any,
) -> None:
    """Draw one figure into a PNG file.

    Args:
        draw: What draws it.
        path: The file.
        width: [inch].
        height: [inch].
        rows: Of panels.
        columns: Of panels.
        told: How it was made; goes into the file beside the picture.
        shared: Further settings of the panels, such as ``sharex``.

    Raises:
        MissingExtraError: There is no matplotlib.
    """
    canvas = _canvas(width, height)
    panels = canvas.subplots(rows, columns, squeeze=False, **shared)
    draw(list(panels.flat))
    canvas.savefig(path, dpi=DPI, format="png", metadata={"Software": "motorque", "Description": told})


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


def error_bars(values: Sequence[Interval]) -> tuple[Array, Array]:
    """Means, shape [N], and how far their intervals reach below and above, shape [2, N]."""
    mean = np.array([v.mean for v in values])
    return mean, np.array([[v.mean - v.low, v.high - v.mean] for v in values]).T
