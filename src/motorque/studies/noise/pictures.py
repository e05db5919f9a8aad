"""Which figures a study has, and what is written under each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.drawing import Draw, figure
from motorque.studies.noise import paper
from motorque.studies.noise import refinement_figures as over_time
from motorque.studies.noise.figures import (
    amplification_figure,
    cause_figure,
    joint_figure,
    lowpass_figure,
    realistic_figure,
    widest,
)
from motorque.studies.noise.models import White
from motorque.studies.noise.protocol import STENCILS
from motorque.studies.noise.refinement import JOINT
from motorque.studies.statistics import interval

if TYPE_CHECKING:
    from motorque.studies.noise.study import NoiseStudy

Picture = tuple[str, str, Draw, dict[str, Any]]
"""Name of the file without its ending, caption, what draws it, and its size."""


def draw_pictures(study: NoiseStudy, folder: Path, told: str) -> dict[str, str]:
    """Draw all figures of a study.

    Args:
        study: Its results.
        folder: Where the files go.
        told: How it was made; goes into every file.

    Returns:
        Captions by file name, in the paper's order.

    Raises:
        MissingExtraError: There is no matplotlib.
    """
    made = {}
    for name, caption, draw, size in (*_noise(study), *_refinement(study), *_causes(study)):
        figure(draw, folder / f"{name}.png", told=f"{caption} {told}", **size)
        made[f"{name}.png"] = caption
    return made


def _noise(study: NoiseStudy) -> Iterator[Picture]:
    subject = study.subjects[0]
    own = f"{subject.name}; bars: 95 % intervals of the mean of {study.draws} draws"
    others = " Thin lines: the other motions." if len(study.subjects) > 1 else ""
    times = subject.poses.times[subject.ends : len(subject.poses.times) - subject.ends]
    joint = SMPL_JOINTS.index(JOINT)
    chains = {stencil: subject.chain(stencil) for stencil in STENCILS}
    clean = {stencil: chain.clean[0, :, joint] for stencil, chain in chains.items()}
    noise = White(paper.SIGMA).draw(subject.poses, study.draws, seed=study.seed)
    noisy = {stencil: (chain.error(noise) + chain.clean)[:, :, joint] for stencil, chain in chains.items()}
    yield (
        "fig1_left_hip",
        f"Figure 1: what noise of {paper.SIGMA:g} rad makes of the left hip's torque, {subject.name}. Line: the first "
        f"draw; band: 5 to 95 % of {study.draws} draws. No ground forces, as in the paper's equations 3 and 4.",
        over_time.teaser_figure(clean, noisy, times),
        {"width": 6.4, "height": 4.6, "rows": 2, "sharex": True},
    )
    yield (
        "fig2a_amplification",
        f"Figure 2 (a): torque error over the noise's level, and their quotient, level where both are in proportion; "
        f"{own}.{others}",
        amplification_figure(study.amplification),
        {"width": 8.0, "columns": 2},
    )
    mine = [r for r in study.joints if r.subject == subject.name]
    yield (
        "fig2b_per_joint",
        f"Figure 2 (b): noise of {paper.SIGMA:g} rad on one joint at a time, in order of the mass that hangs on it; "
        f"{own}, which reach at most {widest([interval(x) for r in mine for x in r.errors.joint]):.0f} % to either "
        f"side.{others}",
        joint_figure(study.joints),
        {"width": 6.4, "height": 4.8},
    )
    means = {r.stencil: float(r.clean.joint[0]) for r in study.amplification if r.subject == subject.name}
    yield (
        "fig2c_lowpass",
        f"Figure 2 (c): low-pass filters of order 4 before the differences; dotted, what they make of clean motion; "
        f"{own}.{others}",
        lowpass_figure(study.lowpass, means),
        {"width": 8.0, "columns": 2},
    )
    first = [r for r in study.realistic if r.subject == subject.name]
    for stencil in STENCILS:
        yield (
            f"fig2d_realistic_{stencil}",
            "Figure 2 (d): kinds of noise before and after a filter of 6 Hz, of equal mean size but where it says "
            f'"sized before depth", {stencil}; {own}.',
            realistic_figure(first, stencil),
            {"width": 6.4},
        )


def _refinement(study: NoiseStudy) -> Iterator[Picture]:
    subject = study.subjects[0]
    own = [r for r in study.refined if r.subject == subject.name]
    if not own:
        return
    times = subject.poses.times[subject.ends : len(subject.poses.times) - subject.ends]
    for stencil in STENCILS:
        clean = subject.chain(stencil).clean[0, :, SMPL_JOINTS.index(JOINT)]
        yield (
            f"fig3_left_hip_{stencil}",
            f"Figure 3: the left hip's torque before (above) and after refinement (below, on a scale of its own), "
            f'{stencil}, {subject.name}. Lines: the first draw; bands: 5 to 95 % of {study.draws} draws; "off by": '
            "mean over frames and draws of the error's length.",
            over_time.hip_figure(clean, own, times, stencil),
            {"width": 6.8, "height": 5.0, "rows": 2, "sharex": True},
        )
    if study.weights:
        yield (
            "sensitivity_weights",
            f"What the refinement's settings change, Adam through the central stencil, {subject.name}; bars: 95 % "
            f"intervals of the mean of {len(np.atleast_1d(study.weights[0].pose))} draws.",
            over_time.weight_figure(study.weights, "central"),
            {"width": 7.2, "columns": 2, "sharey": True},
        )


def _causes(study: NoiseStudy) -> Iterator[Picture]:
    for stencil in STENCILS:
        found = [r for r in study.causes if r.stencil == stencil]
        reach = widest([interval(r.errors.joint / r.base.joint) for r in found if r.group])
        yield (
            f"causes_{stencil}",
            f"What the torque error depends on, {stencil}, {study.subjects[0].name}: one thing changed at once; bars: "
            f"95 % intervals of the mean of {study.draws} draws, at most {reach:.0f} % to either side.",
            cause_figure(found),
            {"width": 6.4, "height": 4.4},
        )
