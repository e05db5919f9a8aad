"""What became of each of the paper's findings, in plain sentences with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise import paper
from motorque.studies.noise.findings import LIKE_PAPER, REALISTIC, TWOFOLD
from motorque.studies.noise.lowpass import CUTOFFS, FIRST
from motorque.studies.noise.protocol import STENCILS
from motorque.studies.noise.realistic import UNIFORM
from motorque.studies.noise.refinement import ADAM, ADAM_TWICE, NOISY, REFINE, ZERO, Refined
from motorque.studies.statistics import reduction
from motorque.studies.tables import Table

if TYPE_CHECKING:
    from motorque.studies.noise.study import NoiseStudy

CENTRAL, TWICE = STENCILS
YES, NO = "reproduced", "not reproduced"
HARDLY = 25.0
"""Change of the pose error that still counts as hardly any [%]."""
STRAIGHT = 0.05
"""How far from 1 an exponent may be where errors are called proportional to the noise."""
Row = tuple[str, str, str, str]


def verdict_table(study: NoiseStudy) -> Table:
    """A row for each of the paper's findings: whether it came out in direction, and what was measured."""
    count = len(study.subjects)
    over = f"on {study.subjects[0].name}" if count == 1 else f"on {count} motions: the middle one's (least to most)"
    table = Table(
        "verdicts",
        f"The paper's findings {over}",
        ("finding", "the paper says", "in direction", "measured here"),
    )
    rows = [_proportion(study), _signal(study), _order(study), _filter(study), _cutoff(study), _profile(study)]
    if study.refined:
        rows += [_torques(study), _poses(study), _yardstick(study)]
    for row in rows:
        table.add(*row)
    return table


def spread(values: Sequence[float], form: str = ".3g") -> str:
    """A number, or the middle, the least and the greatest of several motions'."""

    def text(x: float) -> str:
        return f"{x:,.0f}" if abs(x) >= 1000 else format(x, form)

    low, middle, high = (text(float(np.quantile(values, q, method="nearest"))) for q in (0.0, 0.5, 1.0))
    return middle if low == high else f"{middle} ({low} to {high})"


def _answer(held: Sequence[bool]) -> str:
    if all(held):
        return YES
    return NO if not any(held) else f"{YES} on {sum(held)} of {len(held)}"


def _proportion(study: NoiseStudy) -> Row:
    of = {s: [a for a in study.amplification if a.stencil == s] for s in STENCILS}
    exponents = [a.exponent().mean for a in study.amplification]
    factors = {s: [a.factor().mean for a in own] for s, own in of.items()}
    held = [abs(x - 1) <= STRAIGHT for x in exponents]
    near = all(1 / TWOFOLD <= f / paper.FACTOR <= TWOFOLD for f in factors[TWICE])
    return (
        "pose noise is amplified in proportion",
        f"about {paper.FACTOR:,.0f} N·m per rad; {paper.NOISY} N·m at {paper.SIGMA} rad (Table 1)",
        _answer(held),
        f"the error goes with the noise to the power of {spread(exponents, '.3f')}, by {spread(factors[TWICE])} N·m "
        f"per rad with central-twice ({'within' if near else 'not everywhere within'} twofold of the paper's) and "
        f"{spread(factors[CENTRAL])} with central, which passes the high frequencies that central-twice does not see; "
        f"at {paper.SIGMA} rad {spread([a.at(paper.SIGMA).mean for a in of[TWICE]])} and "
        f"{spread([a.at(paper.SIGMA).mean for a in of[CENTRAL]])} N·m",
    )


def _signal(study: NoiseStudy) -> Row:
    times = {
        s: [a.at(paper.SIGMA).mean / float(a.clean.joint[0]) for a in study.amplification if a.stencil == s]
        for s in STENCILS
    }
    return (
        "the error exceeds the signal",
        f"at {paper.SIGMA} rad the error is greater than the hip's largest torque in walking",
        _answer([x > 1 for own in times.values() for x in own]),
        f"at {paper.SIGMA} rad the mean error is {spread(times[TWICE])} times the mean torque of the clean motion with "
        f"central-twice, {spread(times[CENTRAL])} times with central",
    )


def _order(study: NoiseStudy) -> Row:
    held, ranks, knees, distal = [], [], [], []
    for j in study.joints:
        error = dict(zip(SMPL_JOINTS, j.errors.joint.mean(1), strict=True))
        hips = 0.5 * (error["left_hip"] + error["right_hip"])
        last = max(error[name] for name in paper.DISTAL_JOINTS if name != "head")
        held.append(bool(error["spine1"] > error["spine2"] > error["spine3"] > hips > last))
        ranks.append(j.ordering(j.mass).mean)
        if j.stencil == TWICE:
            knees.append(j.ratio(("spine1",), ("left_knee", "right_knee")).mean)
            distal.append(j.ratio(("spine1", "spine2", "spine3"), paper.DISTAL_JOINTS).mean)
    own = [dict(zip(SMPL_JOINTS, j.errors.joint.mean(1), strict=True)) for j in study.joints if j.stencil == TWICE]
    parts = ", ".join(f"{n} {spread([e[n] for e in own])}" for n in ("spine1", "spine2", "spine3", "left_hip"))
    return (
        "joints near the trunk matter most, in the order of what hangs on them",
        "spine1 34.4, spine2 26.0, spine3 16.5, hips 8.6, distal joints under 1 N·m; up to 10 times",
        _answer(held),
        f"with central-twice {parts} N·m; the rank correlation with the mass that hangs on a joint is "
        f"{spread(ranks, '.2f')}; spine1 is {spread(knees)} times a knee, the spine {spread(distal)} times distal "
        "joints",
    )


def _filter(study: NoiseStudy) -> Row:
    lower = {
        s: [low.reduction(paper.CUTOFF).mean for low in study.lowpass if low.kind == FIRST and low.stencil == s]
        for s in STENCILS
    }
    return (
        f"a {paper.CUTOFF:g} Hz low-pass filter before the differences helps",
        f"{paper.FILTER_REDUCTION:g} % less torque error",
        _answer([x > 0 for own in lower.values() for x in own]),
        f"{spread(lower[TWICE])} % less with central-twice, {spread(lower[CENTRAL])} % with central",
    )


def _cutoff(study: NoiseStudy) -> Row:
    at = [low for low in study.lowpass if low.kind == FIRST]
    best = [float(low.cutoffs[low.best()]) for low in at]
    quiet = min(low.sigma for low in study.cutoffs)
    least = [float(low.cutoffs[low.best()]) for low in study.cutoffs if low.sigma == quiet]
    return (
        f"{paper.CUTOFF:g} Hz is a good choice, 2 to 4 Hz distort",
        f"{paper.CUTOFF:g} Hz recommended",
        _answer([x > CUTOFFS[2] for x in best]),
        f"of {CUTOFFS[0]:g} to {CUTOFFS[-1]:g} Hz the least torque error is at {spread(best)} Hz for {paper.SIGMA} rad "
        f"and at {spread(least)} Hz for {quiet} rad: beside so much noise the torques that a low cutoff takes from the "
        "motion are small",
    )


def _profile(study: NoiseStudy) -> Row:
    equal = [c.ratio(REALISTIC, UNIFORM).mean for c in study.realistic]
    like = [c.ratio(LIKE_PAPER, UNIFORM).mean for c in study.realistic]
    fall = {s: [c.reduction(REALISTIC).mean for c in study.realistic if c.stencil == s] for s in STENCILS}
    answer = _answer([x > 1 for x in equal])
    if answer == NO and all(x > 1 for x in like):
        answer = "not at equal mean size; reproduced with the size taken before depth is amplified"
    return (
        "a realistic profile is worse than uniform noise",
        f"{paper.REALISTIC} against {paper.UNIFORM} N·m ({paper.REALISTIC / paper.UNIFORM:.2f} times), both about "
        f"{paper.FILTERED:.0f} after {paper.CUTOFF:g} Hz",
        answer,
        f"{spread(equal, '.2f')} times at equal mean size with the profile chosen here, whose noisy ends weigh little "
        f"and whose lasting part is slow; {spread(like, '.2f')} times with milder levels, all noise new in every frame "
        f"and its size taken before depth is amplified; {paper.CUTOFF:g} Hz lower the first by {spread(fall[TWICE])} % "
        f"with central-twice, {spread(fall[CENTRAL])} % with central",
    )


def _fallen(study: NoiseStudy, method: str, stencil: str) -> list[float]:
    raw = {r.subject: r for r in study.refined if r.method == NOISY}
    return [
        float(reduction(raw[r.subject].errors[stencil].joint, r.errors[stencil].joint).mean())
        for r in study.refined
        if r.method == method
    ]


def _torques(study: NoiseStudy) -> Row:
    one, two = _fallen(study, ADAM, CENTRAL), _fallen(study, ADAM_TWICE, TWICE)
    return (
        "refinement through the dynamics mends torques",
        f"{paper.NOISY} to {paper.REFINED} N·m, 92 % less",
        _answer([x > 0 for x in one + two]),
        f"the paper's loss and Adam, 200 iterations: {spread(two)} % less with central-twice, {spread(one)} % with "
        f"central; the package's own way: {spread(_fallen(study, REFINE, TWICE))} and "
        f"{spread(_fallen(study, REFINE, CENTRAL))} %",
    )


def _poses(study: NoiseStudy) -> Row:
    raw = {r.subject: r.pose for r in study.refined if r.method == NOISY}
    of = {
        method: [float(reduction(raw[r.subject], r.pose).mean()) for r in study.refined if r.method == method]
        for method in (ADAM, ADAM_TWICE, REFINE)
    }
    return (
        f"while the pose error changes by less than {HARDLY:g} %",
        f"pose error {paper.NOISY_POSE} to {paper.REFINED_POSE} rad, 1 % less",
        _answer([abs(x) < HARDLY for method in (ADAM, ADAM_TWICE) for x in of[method]]),
        f"{spread(of[ADAM_TWICE])} % less with central-twice, {spread(of[ADAM])} % with central, "
        f"{spread(of[REFINE])} % by the package's own way",
    )


def _yardstick(study: NoiseStudy) -> Row:
    def values(method: str, stencil: str) -> list[float]:
        return [float(r.errors[stencil].joint.mean()) for r in _of(study, method)]

    none = [x for s in STENCILS for x in values(ZERO, s)]
    adam = [a < b for a, b in zip(values(ADAM, CENTRAL) + values(ADAM_TWICE, TWICE), none, strict=True)]
    ours = [a < b for a, b in zip(values(REFINE, CENTRAL) + values(REFINE, TWICE), none, strict=True)]
    return (
        "what is left is less than what answering with no torques at all leaves",
        "not said",
        f"the paper's way {_answer(adam)}, the package's {_answer(ours)}",
        f"whoever answers with no torques at all is off by {spread(values(ZERO, TWICE))} N·m with central-twice, "
        f"{spread(values(ZERO, CENTRAL))} with central, that is {spread(_fallen(study, ZERO, TWICE))} and "
        f"{spread(_fallen(study, ZERO, CENTRAL))} % less than the noisy poses. The paper's way leaves "
        f"{spread(values(ADAM_TWICE, TWICE))} and {spread(values(ADAM, CENTRAL))} N·m, the package's "
        f"{spread(values(REFINE, TWICE))} and {spread(values(REFINE, CENTRAL))}: a fall by nine tenths alone says "
        "little",
    )


def _of(study: NoiseStudy, method: str) -> list[Refined]:
    return [r for r in study.refined if r.method == method]
