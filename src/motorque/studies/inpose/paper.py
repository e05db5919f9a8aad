"""What the paper reports, to stand beside what is measured here: other recordings, other people, another body."""

from __future__ import annotations

from motorque.studies.inpose import cast

Numbers = tuple[float, float, float, float]
"""MPJPE [cm], MPJRE [deg], UPE [cm], LPE [cm]."""

DEFAULT_SHAPE: dict[str, dict[str, Numbers]] = {
    "Table 1, HumanEva and Transitions": {
        cast.REGRESSION: (4.92, 4.25, 2.13, 9.94),
        cast.LOCAL: (5.16, 4.32, 2.36, 9.72),
        cast.GLOBAL: (5.97, 4.97, 2.35, 11.96),
        cast.INPOSE: (7.64, 6.38, 3.36, 14.74),
    },
    "Table 1, a tenth of CMU, BMLrub and HDM05": {
        cast.REGRESSION: (3.54, 3.11, 1.49, 6.92),
        cast.LOCAL: (3.59, 2.68, 1.51, 7.0),
        cast.GLOBAL: (4.90, 3.45, 1.90, 9.79),
        cast.INPOSE: (7.53, 4.73, 2.9, 15.04),
    },
    "Table 5": {
        cast.LOCAL_GRADIENT: (5.51, 5.25, 3.32, 9.47),
        cast.LOCAL_PSEUDO: (5.82, 5.16, 2.48, 11.27),
        cast.GRADIENT: (5.58, 4.97, 2.71, 10.14),
        cast.PAPER_HEAD: (5.85, 4.69, 2.47, 11.34),
    },
}
"""Errors on the default shape by table and method. The paper's regression is AvatarJLM; ours is made after it."""
WITHOUT_PLACES = {cast.INPOSE: (7.64, 6.38), cast.GLOBAL: (5.97, 4.97), cast.GLOBAL_TURNS: (15.98, 8.71)}
"""Table 4: MPJPE [cm] and MPJRE [deg]."""
SPEED = {cast.REGRESSION: 102.0, cast.GLOBAL: 392.0, cast.PAPER_INPOSE: 229.0}
"""Table 6: samples a second on a GPU."""
