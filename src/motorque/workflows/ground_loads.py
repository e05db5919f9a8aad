"""`loads`: from a model and a motion to a file of estimated ground reaction forces."""

from __future__ import annotations

from pathlib import Path

from motorque.errors import MotorqueError
from motorque.files.external_loads import write_loads
from motorque.files.motion_files import read_motion
from motorque.files.osim import load_skeleton
from motorque.fitting.ground_loads import estimate_ground_loads
from motorque.journal import Journal
from motorque.series import Loads

DEFAULT_CUTOFF = 6.0
"""Low-pass cutoff for the coordinates [Hz], the usual one for gait."""


def loads_step(
    model: str | Path,
    motion: str | Path,
    *,
    out: str | Path,
    journal: Journal,
    mass: float | None = None,
    cutoff: float | None = None,
) -> Loads:
    """`motorque loads`: files in, file out; see :func:`estimate_ground_loads` for what is computed.

    Args:
        model: The ``.osim`` file.
        motion: The motion, ``.mot`` or ``.sto``.
        out: The ``.mot`` file for the ground forces.
        journal: What was assumed and what the feet do not explain.
        mass: Body mass [kg]; the model's own if None.
        cutoff: Low-pass cutoff for the coordinates [Hz]; 6 if None.

    Raises:
        MotorqueError: Any of the errors of the readers, of the estimate, or of writing; then nothing is written.
    """
    skeleton = load_skeleton(model, journal=journal)
    moved = read_motion(motion, skeleton, journal=journal)
    try:
        loads = estimate_ground_loads(
            skeleton, moved, cutoff=DEFAULT_CUTOFF if cutoff is None else cutoff, mass=mass, journal=journal
        )
    except MotorqueError as error:
        raise type(error)(f"{motion}: {error}") from None
    write_loads(out, loads)
    return loads
