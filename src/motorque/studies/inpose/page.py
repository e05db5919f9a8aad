"""The evaluation as one HTML page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from motorque.estimators.inpose.tree import JOINTS
from motorque.studies.document import MANY, document, folded, picture, sentences, settings_part
from motorque.studies.inpose.measures import LOWER, UPPER
from motorque.studies.tables import Table

TOLD = "verdicts"
"""The table that stands above the figures, as sentences."""

WIDE = "figure img { width: auto; } figure { overflow-x: auto; }\n"
"""Figures as wide as the page: several panels stand side by side."""

LEAD = """
<p>After <i>Zero-shot Human Pose Estimation using Diffusion-based Inverse solvers</i> (InPose): whole bodies from the
places and rotations of head and wrists. Recordings of people whom no method learned from are put on one body of
published proportions; shapes are factors of its bones, and sensors' places are computed from the changed bones.
Positions are global after the true head's place is given to the found head, and divided by the whole body's factor.
MPJPE: mean distance of the 22 joints. UPE and LPE: the same of {upper}, and of {lower}. MPJRE: mean absolute
difference of the components of local rotation vectors, of the 21 joints after the pelvis; angle: geodesic, of all 22.
Velocity error: mean length of the difference of the joints' velocities. Jitter: mean length of the third derivative
of the joints' places. In brackets: 95 % intervals, from {draws} resamples that draw people first, then recordings of
each.</p>
"""


def page(
    tables: Sequence[Table], pictures: Mapping[str, str], folder: Path, *, settings: Mapping[str, str], draws: int
) -> str:
    """The page.

    Args:
        tables: All tables.
        pictures: Captions by file name.
        folder: Where the files are.
        settings: What was set, and with what it was computed.
        draws: Resamples behind an interval.
    """
    upper, lower = (escape(", ".join(JOINTS[joint] for joint in joints)) for joints in (UPPER, LOWER))
    title = "Three sensors to a whole body, for any body"
    parts = [f"<h1>{title}</h1>", LEAD.format(upper=upper, lower=lower, draws=draws)]
    for table in tables:
        if table.name == TOLD:
            parts.append(sentences(table, theirs="Asked for"))
    parts.append("<h2>Figures</h2>")
    parts += [picture(folder / name, caption) for name, caption in pictures.items()]
    parts.append("<h2>Numbers</h2>")
    parts += [folded(table, len(table.rows) <= MANY) for table in tables if table.name != TOLD]
    parts.append(settings_part(settings))
    return document(title, parts, style=WIDE)
