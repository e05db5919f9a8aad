"""Everything that an evaluation found, into one folder: CSV, PNG, one page."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import motorque
from motorque.files.output import OutputFolder
from motorque.studies.inpose import intervals
from motorque.studies.inpose.experiments import Experiment
from motorque.studies.inpose.page import page
from motorque.studies.inpose.pictures import draw_pictures
from motorque.studies.inpose.results import Results
from motorque.studies.inpose.setup import Setup
from motorque.studies.inpose.tables import experiment_tables

PAGE = "index.html"


def write_evaluation(setup: Setup, experiments: Sequence[Experiment], results: Results, out: Path) -> Path:
    """Write tables, figures and the page.

    Args:
        setup: What was evaluated.
        experiments: What was asked.
        results: What came out.
        out: The folder.

    Returns:
        The page.

    Raises:
        MissingExtraError: There is no matplotlib.
        OutputError: It can't be written.
    """
    settings = described(setup, results)
    with OutputFolder(out) as folder:
        tables = experiment_tables(experiments, results)
        made = {"seed": str(setup.seed), "made by": settings["versions"]}
        for table in tables:
            table.write_csv(folder.path, made)
        told = "; ".join(f"{what}: {settings[what]}" for what in ("weights", "people", "versions"))
        pictures = draw_pictures(experiments, results, folder.path, told)
        html = page(tables, pictures, folder.path, settings=settings, draws=intervals.DRAWS)
        (folder.path / PAGE).write_text(html, encoding="utf-8")
        (folder.path / "settings.json").write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return out / PAGE


def described(setup: Setup, results: Results) -> dict[str, str]:
    """Settings, versions and times, for the page's end."""

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    packages = ", ".join(f"{name} {installed(name)}" for name in ("numpy", "scipy", "torch", "matplotlib"))
    people = [name for part in setup.tested for name in part.subjects]
    names = {row.key.recording: row.frames for row in results.rows.values()}
    length = "whole recordings" if setup.seconds is None else f"the middle {setup.seconds:g} s of each recording"
    return {
        "weights": "; ".join(str(part.weights) for part in setup.tested),
        "baselines": ", ".join(f"{n} ({f})" for part in setup.tested for n, f in part.baselines.items()) or "none",
        "people": ", ".join(people),
        "recordings": f"{len(names)}, {sum(names.values()) / 3600:.2f} min; {length}",
        "seed": f"{setup.seed}; noise and first draws are each recording's own, the same in all conditions and methods",
        "intervals": f"95 %, percentiles of {intervals.DRAWS} resamples: people with replacement, then recordings of "
        "each; means are over frames; differences and quotients are of the same resamples",
        "versions": f"motorque {motorque.__version__}, Python {platform.python_version()}, {packages}",
        "machine": f"{platform.system()} {platform.machine()}",
        "computed in": f"{sum(row.cpu_s for row in results.rows.values()):.0f} s of a core",
    }
