"""The whole study: every figure and table of SMPL-Dynamics for one or several motions, into one folder."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import motorque
from motorque.files.output import OutputFolder
from motorque.progress import Progress, silent
from motorque.studies.noise import paper
from motorque.studies.noise.amplification import Amplification, amplification, curve_table, factor_table
from motorque.studies.noise.causes import Cause, cause_table, causes
from motorque.studies.noise.findings import findings_table
from motorque.studies.noise.least_change import LeastChange, least_change, least_change_table
from motorque.studies.noise.lowpass import FIRST, KINDS, LEVELS, LowPass, best_table, cutoff_table, lowpass
from motorque.studies.noise.page import page
from motorque.studies.noise.per_joint import PerJoint, joint_table, ordering_table, per_joint
from motorque.studies.noise.pictures import draw_pictures
from motorque.studies.noise.protocol import DRAWS, STENCILS, Subject
from motorque.studies.noise.realistic import Compared, compared, comparison_table, settings, settings_table, steps
from motorque.studies.noise.refinement import (
    NOISY,
    Refined,
    refined,
    refinement_table,
    weight_methods,
    weight_table,
    yardsticks,
)
from motorque.studies.noise.verdicts import verdict_table
from motorque.studies.tables import Table

LEAST_DRAWS = 2
WEIGHT_DRAWS = 5
"""Draws for the sensitivity to the weights: a dozen refinements of each."""


@dataclass(eq=False)
class NoiseStudy:
    """All results.

    Args:
        subjects: The motions, the first of which is the one that figures show in full.
        draws: Draws of noise for each number.
        seed: Of the draws.
        seconds: What it took.
    """

    subjects: tuple[Subject, ...]
    draws: int
    seed: int
    amplification: list[Amplification] = field(default_factory=list)
    joints: list[PerJoint] = field(default_factory=list)
    lowpass: list[LowPass] = field(default_factory=list)
    realistic: list[Compared] = field(default_factory=list)
    profile: list[Compared] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)
    refined: list[Refined] = field(default_factory=list)
    weights: list[Refined] = field(default_factory=list)
    cutoffs: list[LowPass] = field(default_factory=list)
    least: list[LeastChange] = field(default_factory=list)
    seconds: float = 0.0

    def tables(self) -> list[Table]:
        """All tables, the comparison with the paper first."""
        made = [
            verdict_table(self),
            findings_table(self.amplification, self.joints, self.lowpass, self.realistic, self.refined),
            factor_table(self.amplification),
            curve_table(self.amplification),
            ordering_table(self.joints),
            joint_table(self.joints),
            cutoff_table(self.lowpass),
            best_table(self.cutoffs),
            comparison_table(self.realistic),
            refinement_table(self.refined),
            least_change_table(self.least),
            cause_table(self.causes),
            settings_table(self.profile),
            weight_table(self.weights),
        ]
        return [table for table in made if table.rows]


def noise_study(
    subjects: Sequence[Subject],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    refinement: bool = True,
    progress: Progress = silent,
) -> NoiseStudy:
    """Run every experiment on every motion; what the result depends on is looked into on the first.

    Args:
        subjects: Motions in the paper's protocol (`protocol.subject`).
        draws: Draws of noise for each number; the paper says nothing of its own.
        seed: Of the draws.
        refinement: Whether Table 1 and Figure 3 are made too, which takes most of the time.
        progress: Hears how far it is.
    """
    start = time.perf_counter()
    study = NoiseStudy(tuple(subjects), draws, seed)
    for number, subject in enumerate(subjects):
        first = number == 0

        tell = _part(progress, f"noise on {subject.name}", number / len(subjects), 1 / len(subjects))
        share = 0.15 if refinement else 1.0
        for place, stencil in enumerate(STENCILS):
            own = _from(tell, 0.5 * share * place, 0.5 * share)
            own(0.0)
            chain = subject.chain(stencil)
            study.amplification.append(amplification(chain, stencil, draws, seed=seed))
            study.joints.append(per_joint(chain, stencil, draws, seed=seed))
            own(0.2)
            for kind in KINDS:
                study.lowpass.append(lowpass(chain, stencil, draws, seed=seed, kind=kind))
            study.cutoffs += [
                lowpass(chain, stencil, draws, seed=seed, sigma=level)
                if level != paper.SIGMA
                else next(r for r in study.lowpass[-len(KINDS) :] if r.kind == FIRST)
                for level in LEVELS
            ]
            own(0.4)
            study.realistic.append(compared(chain, stencil, steps(), draws, seed=seed))
            study.least += least_change(chain, stencil)
            if first:
                study.profile.append(compared(chain, stencil, settings(), draws, seed=seed))
                study.causes += causes(subject, stencil, draws, seed=seed)
        if refinement:
            study.refined += refined(subject, draws, seed=seed, progress=_from(tell, share, 0.4))
            study.refined += yardsticks(subject, draws, seed=seed)
            if first:
                few = min(draws, WEIGHT_DRAWS)
                study.weights += refined(
                    subject, few, seed=seed, methods=weight_methods(), progress=_from(tell, 0.55, 0.45)
                )
    study.seconds = time.perf_counter() - start
    return study


def _part(progress: Progress, name: str, start: float, width: float) -> Callable[[float], None]:
    return lambda share: progress(name, start + width * share)


def _from(tell: Callable[[float], None], start: float, width: float) -> Callable[[float], None]:
    return lambda share: tell(start + width * share)


def written(study: NoiseStudy) -> str:
    """One sentence that says what came out."""
    own = {a.stencil: a for a in study.amplification if a.subject == study.subjects[0].name}
    parts = (f"{a.factor().mean:,.0f} N·m/rad ({name})" for name, a in own.items())
    return f"Noise of poses on {study.subjects[0].name} becomes torque error by {' or '.join(parts)}."


def write_study(study: NoiseStudy, destination: Path | str) -> None:
    """Write a study into a folder: CSV files, PNG files, and ``index.html`` with all of them.

    Raises:
        MissingExtraError: There is no matplotlib.
        OutputError: It can't be written.
    """
    with OutputFolder(destination) as folder:
        tables, settings = study.tables(), described(study)
        for table in tables:
            made = {"draws": str(table.draws or study.draws), "seed": str(study.seed), "made by": settings["versions"]}
            table.write_csv(folder.path, made)
        told = "; ".join(f"{what}: {settings[what]}" for what in ("motions", "draws of noise", "noise", "versions"))
        pictures = draw_pictures(study, folder.path, told)
        html = page(tables, pictures, folder.path, settings=settings)
        (folder.path / "index.html").write_text(html, encoding="utf-8")
        (folder.path / "settings.json").write_text(json.dumps(settings, indent=1, ensure_ascii=False) + "\n", "utf-8")


def described(study: NoiseStudy) -> dict[str, str]:
    """Settings, versions and times, for the page's end."""

    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "not installed"

    motions = [
        f"{s.name} ({len(s.poses.times)} frames at {s.poses.rate:g} Hz, {s.mass:g} kg, up {s.poses.up})"
        for s in study.subjects
    ]
    packages = ", ".join(f"{name} {installed(name)}" for name in ("numpy", "scipy", "torch", "matplotlib"))
    ends = sorted({s.ends for s in study.subjects})
    return {
        "motions": "; ".join(motions),
        "draws of noise": f"{study.draws} (seed {study.seed}); sensitivity_weights: {min(study.draws, WEIGHT_DRAWS)}",
        "frames left out at each end": ", ".join(map(str, ends)),
        "intervals": "95 %, Student's t over draws; ratios and reductions draw by draw",
        "noise": "added to the local rotation vectors of all 24 joints, root in; sigma is of one component",
        "torques": "by the parent on the child about each joint, world axes, no ground forces; root in the mean",
        "versions": f"motorque {motorque.__version__}, Python {platform.python_version()}, {packages}",
        "machine": f"{platform.system()} {platform.machine()}",
        "time": f"{study.seconds:.0f} s" + _one_refinement(study),
    }


def _one_refinement(study: NoiseStudy) -> str:
    """How long methods of refinement took; here and not in the tables, which are the same in every run."""
    own = [r for r in study.refined if r.subject == study.subjects[0].name and r.seconds.any()]
    parts = (f"{r.method} {np.median(r.seconds):.2f} s" for r in own if r.method != NOISY)
    return f"; one recording by {', '.join(parts)}" if own else ""
