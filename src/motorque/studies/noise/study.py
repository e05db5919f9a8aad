"""The whole study: every figure and table of SMPL-Dynamics for one or several motions, into one folder."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import motorque
from motorque.files.output import OutputFolder
from motorque.progress import Progress, silent
from motorque.studies.noise import figures
from motorque.studies.noise.amplification import Amplification, amplification, curve_table, factor_table
from motorque.studies.noise.causes import Cause, cause_table, causes
from motorque.studies.noise.findings import findings_table
from motorque.studies.noise.least_change import LeastChange, least_change, least_change_table
from motorque.studies.noise.lowpass import KINDS, LowPass, cutoff_table, lowpass
from motorque.studies.noise.page import page
from motorque.studies.noise.per_joint import PerJoint, joint_table, ordering_table, per_joint
from motorque.studies.noise.protocol import DRAWS, STENCILS, Subject
from motorque.studies.noise.realistic import Compared, compared, comparison_table, settings, settings_table, steps
from motorque.studies.noise.refinement import (
    Refined,
    refined,
    refinement_table,
    weight_methods,
    weight_table,
)
from motorque.studies.noise.tables import Table

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
    least: list[LeastChange] = field(default_factory=list)
    seconds: float = 0.0

    def tables(self) -> list[Table]:
        """All tables, the comparison with the paper first."""
        made = [
            findings_table(self.amplification, self.joints, self.lowpass, self.realistic, self.refined),
            factor_table(self.amplification),
            curve_table(self.amplification),
            ordering_table(self.joints),
            joint_table(self.joints),
            cutoff_table(self.lowpass),
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
        for stencil in STENCILS:
            tell(0.0)
            chain = subject.chain(stencil)
            study.amplification.append(amplification(chain, stencil, draws, seed=seed))
            study.joints.append(per_joint(chain, stencil, draws, seed=seed))
            tell(0.1)
            for kind in KINDS:
                study.lowpass.append(lowpass(chain, stencil, draws, seed=seed, kind=kind))
            tell(0.2)
            study.realistic.append(compared(chain, stencil, steps(), draws, seed=seed))
            study.least += least_change(chain, stencil)
            if first:
                study.profile.append(compared(chain, stencil, settings(), draws, seed=seed))
                study.causes += causes(subject, stencil, draws, seed=seed)
        if refinement:
            study.refined += refined(subject, draws, seed=seed, progress=_from(tell, 0.3, 0.5))
            if first:
                few = min(draws, WEIGHT_DRAWS)
                study.weights += refined(
                    subject, few, seed=seed, methods=weight_methods(), progress=_from(tell, 0.8, 0.2)
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
        tables = study.tables()
        for table in tables:
            table.write_csv(folder.path)
        pictures = _pictures(study, folder.path)
        html = page(tables, pictures, folder.path, settings=described(study))
        (folder.path / "index.html").write_text(html, encoding="utf-8")


def _pictures(study: NoiseStudy, path: Path) -> dict[str, str]:
    """Draw all figures; captions by file name."""
    made: dict[str, str] = {}

    def put(name: str, caption: str, draw: object, **size: float) -> None:
        figures.figure(draw, path / f"{name}.png", **size)  # type: ignore[arg-type]
        made[f"{name}.png"] = caption

    others = " Thin lines: the other motions." if len(study.subjects) > 1 else ""
    put(
        "fig2a_amplification",
        f"Figure 2 (a): torque error over the noise's level.{others}",
        figures.amplification_figure(study.amplification),
    )
    put(
        "fig2b_per_joint",
        f"Figure 2 (b): noise on one joint at a time, in the order of the mass that hangs on it.{others}",
        figures.joint_figure(study.joints),
        height=4.6,
    )
    put(
        "fig2c_lowpass",
        f"Figure 2 (c): low-pass filters before the differences; dotted, what they make of clean motion.{others}",
        figures.lowpass_figure(study.lowpass),
    )
    first = [r for r in study.realistic if r.subject == study.subjects[0].name]
    for stencil in STENCILS:
        put(
            f"fig2d_realistic_{stencil}",
            f"Figure 2 (d): kinds of noise of equal mean size, one property after the other, {stencil}.",
            figures.realistic_figure(first, stencil),
            width=6.2,
        )
    own = [r for r in study.refined if r.subject == study.subjects[0].name]
    if own:
        subject = study.subjects[0]
        times = subject.poses.times[subject.ends : len(subject.poses.times) - subject.ends]
        for stencil in STENCILS:
            put(
                f"fig3_left_hip_{stencil}",
                f"Figure 3: the left hip's torque before and after refinement, {stencil}, first draw.",
                figures.hip_figure(subject, own, times, stencil),
                width=6.2,
            )
    for stencil in STENCILS:
        put(
            f"causes_{stencil}",
            f"What the torque error depends on, {stencil}.",
            figures.cause_figure([r for r in study.causes if r.stencil == stencil]),
            width=6.2,
            height=4.2,
        )
    return made


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
        "draws of noise": f"{study.draws} (seed {study.seed}); weights' sensitivity: {min(study.draws, WEIGHT_DRAWS)}",
        "frames left out at each end": ", ".join(map(str, ends)),
        "intervals": "95 %, Student's t over draws; ratios and reductions draw by draw",
        "noise": "added to the local rotation vectors of all 24 joints, root in; sigma is of one component",
        "torques": "by the parent on the child about each joint, world axes, no ground forces; root in the mean",
        "versions": f"motorque {motorque.__version__}, Python {platform.python_version()}, {packages}",
        "machine": f"{platform.system()} {platform.machine()}",
        "time": f"{study.seconds:.0f} s",
    }
