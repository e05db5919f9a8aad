"""The paper's findings and what is measured here, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from motorque.skeleton.smpl import SMPL_JOINTS
from motorque.studies.noise import paper
from motorque.studies.noise.amplification import Amplification
from motorque.studies.noise.lowpass import FIRST, LowPass
from motorque.studies.noise.per_joint import PerJoint
from motorque.studies.noise.realistic import UNIFORM, Compared
from motorque.studies.noise.refinement import ADAM, ADAM_TWICE, NOISY, Refined
from motorque.studies.noise.statistics import Interval, interval, reduction
from motorque.studies.noise.tables import Table

TWOFOLD = 2.0
"""A figure that differs from the paper's by more than this factor is marked."""
REALISTIC = "realistic"
LIKE_PAPER = "mild levels, sized before depth, all new"


def findings_table(
    amplifications: Sequence[Amplification],
    joints: Sequence[PerJoint],
    lowpass: Sequence[LowPass],
    realistic: Sequence[Compared],
    refined: Sequence[Refined],
) -> Table:
    """Every figure of the paper with both stencils' beside it."""
    table = Table(
        "findings",
        "The paper's figures and ours",
        ("motion", "finding", "the paper's", "stencil", "measured", "over the paper's", "differs more than twofold"),
        notes=(
            "Torque errors are means over frames and joints of the length of a joint's error vector, the root in; "
            "other norms are in the tables below.",
            "Where they differ, docs/noise_study.md has the experiments: with central-twice, differences of "
            "differences, the paper's noise error and what its filter takes away come out as it has them.",
        ),
    )

    def put(motion: str, what: str, theirs: float, stencil: str, ours: Interval) -> None:
        ratio = ours.mean / theirs
        apart = not 1 / TWOFOLD <= ratio <= TWOFOLD
        table.add(motion, what, theirs, stencil, ours, ratio, "yes" if apart else "")

    for a in amplifications:
        put(a.subject, "torque error at 0.05 rad [N·m], Table 1", paper.NOISY, a.stencil, a.at(paper.SIGMA))
        put(a.subject, "uniform noise of 4.4 [N·m]", paper.UNIFORM, a.stencil, a.at(paper.SIGMA))
        put(a.subject, "amplification [N·m per rad of sigma]", paper.FACTOR, a.stencil, a.factor())
        put(a.subject, "amplification [N·m per rad of pose error]", paper.FACTOR, a.stencil, a.factor(of_pose=True))
    for j in joints:
        for name, theirs in paper.ONE_JOINT.items():
            value = interval(j.errors.joint[SMPL_JOINTS.index(name)])
            put(j.subject, f"noise on {name} alone [N·m]", theirs, j.stencil, value)
    for low in lowpass:
        if low.kind == FIRST:
            value = low.reduction(paper.CUTOFF)
            put(low.subject, "6 Hz lowers uniform noise's error by [%]", paper.FILTER_REDUCTION, low.stencil, value)
    for c in realistic:
        theirs = paper.REALISTIC / paper.UNIFORM
        put(c.subject, "realistic over uniform, equal mean size", theirs, c.stencil, c.ratio(REALISTIC, UNIFORM))
        put(c.subject, f"realistic over uniform, {LIKE_PAPER}", theirs, c.stencil, c.ratio(LIKE_PAPER, UNIFORM))
        value = c.reduction(REALISTIC)
        put(c.subject, "6 Hz lowers the realistic profile's error by [%]", paper.FILTER_REDUCTION, c.stencil, value)
    raw = {r.subject: r for r in refined if r.method == NOISY}
    for r in refined:
        for stencil, method in (("central", ADAM), ("central-twice", ADAM_TWICE)):
            if r.method != method:
                continue
            base = raw[r.subject]
            fallen = interval(reduction(base.errors[stencil].joint, r.errors[stencil].joint))
            theirs = 100 * (1 - paper.REFINED / paper.NOISY)
            put(r.subject, "refinement lowers the torque error by [%]", theirs, stencil, fallen)
            moved = interval(reduction(base.pose, r.pose))
            theirs = 100 * (1 - paper.REFINED_POSE / paper.NOISY_POSE)
            put(r.subject, "and the pose error by [%]", theirs, stencil, moved)
    return table
