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
from motorque.studies.statistics import Interval, interval, reduction
from motorque.studies.tables import Table

TWOFOLD = 2.0
"""A figure that differs from the paper's by more than this factor is marked."""
REALISTIC = "realistic"
LIKE_PAPER = "mild levels, sized before depth, all new"


STENCIL, TRUNK, MOTION, PROFILE, WEIGHTS = "stencil", "trunk", "motion", "profile", "weights"
CAUSES = {
    STENCIL: "differences of three neighbouring frames pass noise about four times as strongly as differences of "
    "differences (causes.csv, central-twice instead)",
    TRUNK: "a recording's own bones have their joints between pelvis and chest elsewhere, and with that the second "
    "moment of what hangs on each (fig2b_per_joint.csv)",
    MOTION: "the filter takes from the motion itself, and can't take noise that lasts (fig2d_realistic.csv, against "
    "clean motion filtered alike)",
    PROFILE: "the paper does not give its profile's numbers; of those chosen noisier ends weigh little, and noise that "
    "lasts makes slow errors (fig2d_realistic.csv, one property after the other)",
    WEIGHTS: "the paper does not give its loss's weights, which decide how much of the pose's noise goes with the "
    "torques' (sensitivity_weights.csv); the smallest change of the poses that mends as much takes more of it along "
    "than the paper's (least_change.csv)",
}
"""Causes of differences beyond twofold, each with the file that shows it."""


def _noise(stencil: str) -> str:
    return STENCIL if stencil == "central" else ""


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
        (
            "motion", "finding", "the paper's", "stencil", "measured", "over the paper's", "differs more than twofold",
            "because",
        ),
        notes=(
            "Torque errors are means over frames and joints of the length of a joint's error vector, the root in; "
            "other norms are in the tables below.",
            *(f"{name}: {what}" for name, what in CAUSES.items()),
        ),
    )  # fmt: skip

    def put(motion: str, what: str, theirs: float, stencil: str, ours: Interval, why: str = "") -> None:
        ratio = ours.mean / theirs
        apart = not 1 / TWOFOLD <= ratio <= TWOFOLD
        table.add(motion, what, theirs, stencil, ours, ratio, "yes" if apart else "", why if apart else "")

    for a in amplifications:
        put(
            a.subject,
            "torque error at 0.05 rad [N·m], Table 1",
            paper.NOISY,
            a.stencil,
            a.at(paper.SIGMA),
            _noise(a.stencil),
        )
        put(a.subject, "uniform noise of 4.4 [N·m]", paper.UNIFORM, a.stencil, a.at(paper.SIGMA), _noise(a.stencil))
        for what, of_pose in (("sigma", False), ("pose error", True)):
            factor = a.factor(of_pose=of_pose)
            put(
                a.subject, f"amplification [N·m per rad of {what}]", paper.FACTOR, a.stencil, factor, _noise(a.stencil)
            )  # fmt: skip
    for j in joints:
        for name, theirs in paper.ONE_JOINT.items():
            value = interval(j.errors.joint[SMPL_JOINTS.index(name)])
            put(j.subject, f"noise on {name} alone [N·m]", theirs, j.stencil, value, _noise(j.stencil) or TRUNK)
    for low in lowpass:
        if low.kind == FIRST:
            value = low.reduction(paper.CUTOFF)
            put(
                low.subject,
                "6 Hz lowers uniform noise's error by [%]",
                paper.FILTER_REDUCTION,
                low.stencil,
                value,
                MOTION,
            )
    for c in realistic:
        theirs = paper.REALISTIC / paper.UNIFORM
        put(
            c.subject,
            "realistic over uniform, equal mean size",
            theirs,
            c.stencil,
            c.ratio(REALISTIC, UNIFORM),
            PROFILE,
        )
        put(c.subject, f"realistic over uniform, {LIKE_PAPER}", theirs, c.stencil, c.ratio(LIKE_PAPER, UNIFORM))
        value = c.reduction(REALISTIC)
        put(
            c.subject,
            "6 Hz lowers the realistic profile's error by [%]",
            paper.FILTER_REDUCTION,
            c.stencil,
            value,
            MOTION,
        )
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
            put(r.subject, "and the pose error by [%]", theirs, stencil, moved, WEIGHTS)
    return table
