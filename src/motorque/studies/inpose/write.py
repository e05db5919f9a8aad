"""Everything that an evaluation found, into one folder: CSV, PNG, one page."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import motorque
from motorque.files.output import OutputFolder
from motorque.studies.drawing import figure
from motorque.studies.inpose import intervals, runtime
from motorque.studies.inpose.experiments import EXPERIMENTS
from motorque.studies.inpose.page import page
from motorque.studies.inpose.pictures import draw_pictures
from motorque.studies.inpose.results import Results
from motorque.studies.inpose.runtime import Runtime
from motorque.studies.inpose.setup import Setup
from motorque.studies.inpose.stills import SCALES, Stills
from motorque.studies.inpose.tables import experiment_tables, paper_table, people_table
from motorque.studies.inpose.verdicts import verdict_table

PAGE = "index.html"


@dataclass(frozen=True)
class Extras:
    """What there is beside tables of errors.

    Args:
        runtime: Times of methods, now or before.
        stills: Stick figures and what each shows.
    """

    runtime: Runtime | None = None
    stills: tuple[tuple[str, Stills], ...] = ()


def write_evaluation(setup: Setup, names: Sequence[str], results: Results, out: Path, extras: Extras) -> Path:
    """Write tables, figures and the page.

    Args:
        setup: What was evaluated.
        names: What was asked for now; what all results are there for from before is written too.
        results: What came out.
        out: The folder.
        extras: What else there is.

    Returns:
        The page.

    Raises:
        MissingExtraError: There is no matplotlib.
        OutputError: It can't be written.
    """
    settings = described(setup, results)
    experiments = [e for e in EXPERIMENTS if e.name in names or e.answered(results)]
    with OutputFolder(out) as folder:
        tables = [verdict_table(results, extras.runtime), *experiment_tables(experiments, results)]
        tables += [
            people_table(results),
            paper_table(results),
            *([] if extras.runtime is None else [extras.runtime.table()]),
        ]
        tables = [table for table in tables if table.rows]
        made = {"seed": str(setup.seed), "made by": settings["versions"]}
        for table in tables:
            table.write_csv(folder.path, made)
        if extras.runtime is not None:
            extras.runtime.save(folder.path / runtime.FILE)
        told = "; ".join(f"{what}: {settings[what]}" for what in ("weights", "people", "versions"))
        pictures = draw_pictures(experiments, results, folder.path, told)
        pictures |= draw_stills(extras.stills, folder.path, told)
        html = page(tables, pictures, folder.path, settings=settings, draws=intervals.DRAWS)
        (folder.path / PAGE).write_text(html, encoding="utf-8")
        (folder.path / "settings.json").write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return out / PAGE


def draw_stills(all_: Sequence[tuple[str, Stills]], folder: Path, told: str) -> dict[str, str]:
    """Draw stick figures; captions by file name."""
    made = {}
    for number, (what, stills) in enumerate(all_, 1):
        columns = len(stills.methods)
        caption = (
            f"{what}: {stills.recording} at {', '.join(f'{t:.2f}' for t in stills.times)} s, whole body × "
            f"{', '.join(f'{s:g}' for s in SCALES)}, all drawn at one size. Grey: the true body; blue, with the left "
            "limbs in red: the found one, its head put on the true one; numbers: MPJPE of these frames."
        )
        path = folder / f"stills_{number}.png"
        size: dict[str, Any] = {"width": 2.6 * columns, "height": 5.2, "rows": len(SCALES), "columns": columns}
        figure(stills.draw(), path, told=f"{caption} {told}", **size)
        made[path.name] = caption
    return made


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
    if setup.most is not None:
        length += f", at most {setup.most} of each person"
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
