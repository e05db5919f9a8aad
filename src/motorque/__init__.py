"""motorque: from what was seen of a moving person to joint angles, torques and forces.

``import motorque as mq`` is the door to the house: every name of :data:`__all__` is fetched from its room when it is
first used, so that the import itself is quick and loads neither torch nor numpy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same table for type checkers and editors; tests/test_house.py holds the two together
    from motorque.errors import DataError as DataError
    from motorque.errors import FileFormatError as FileFormatError
    from motorque.errors import MissingExtraError as MissingExtraError
    from motorque.errors import ModelError as ModelError
    from motorque.errors import MotorqueError as MotorqueError
    from motorque.errors import OutputError as OutputError
    from motorque.files.motion_files import read_kinetics as read_kinetics
    from motorque.files.motion_files import read_motion as read_motion
    from motorque.files.motion_files import write_kinetics as write_kinetics
    from motorque.files.motion_files import write_motion as write_motion
    from motorque.files.osim import load_skeleton as load_skeleton
    from motorque.files.output import OutputFolder as OutputFolder
    from motorque.files.storage import read_storage as read_storage
    from motorque.files.trc import read_trc as read_trc
    from motorque.files.trc import write_trc as write_trc
    from motorque.fitting.ik import CoordinateTask as CoordinateTask
    from motorque.fitting.ik import inverse_kinematics as inverse_kinematics
    from motorque.fitting.scale_from_motion import fit_body as fit_body
    from motorque.journal import Journal as Journal
    from motorque.journal import Notice as Notice
    from motorque.mechanics.inverse_dynamics import inverse_dynamics as inverse_dynamics
    from motorque.mechanics.kinematics import center_of_mass as center_of_mass
    from motorque.mechanics.kinematics import forward_kinematics as forward_kinematics
    from motorque.mechanics.kinematics import marker_positions as marker_positions
    from motorque.progress import TerminalProgress as TerminalProgress
    from motorque.series import Kinetics as Kinetics
    from motorque.series import Load as Load
    from motorque.series import Loads as Loads
    from motorque.series import Markers as Markers
    from motorque.series import Motion as Motion
    from motorque.series import Scales as Scales
    from motorque.skeleton import Skeleton as Skeleton
    from motorque.skeleton.fullbody import fullbody as fullbody
    from motorque.skeleton.marker_sets import match_markers as match_markers
    from motorque.skeleton.marker_sets import skeleton_with_markers as skeleton_with_markers
    from motorque.skeleton.scaling import apply_scales as apply_scales

__version__ = "0.1.0"

_ROOM = {
    # the things that flow
    "Kinetics": "series",
    "Load": "series",
    "Loads": "series",
    "Markers": "series",
    "Motion": "series",
    "Scales": "series",
    "Skeleton": "skeleton",
    # what a run tells, and what can go wrong
    "DataError": "errors",
    "FileFormatError": "errors",
    "Journal": "journal",
    "MissingExtraError": "errors",
    "ModelError": "errors",
    "MotorqueError": "errors",
    "Notice": "journal",
    "OutputError": "errors",
    "OutputFolder": "files.output",
    "TerminalProgress": "progress",
    # the body
    "fullbody": "skeleton.fullbody",
    "match_markers": "skeleton.marker_sets",
    "skeleton_with_markers": "skeleton.marker_sets",
    "apply_scales": "skeleton.scaling",
    # files
    "load_skeleton": "files.osim",
    "read_kinetics": "files.motion_files",
    "read_motion": "files.motion_files",
    "read_storage": "files.storage",
    "read_trc": "files.trc",
    "write_kinetics": "files.motion_files",
    "write_motion": "files.motion_files",
    "write_trc": "files.trc",
    # the physics, on tensors
    "center_of_mass": "mechanics.kinematics",
    "forward_kinematics": "mechanics.kinematics",
    "inverse_dynamics": "mechanics.inverse_dynamics",
    "marker_positions": "mechanics.kinematics",
    # fitting
    "CoordinateTask": "fitting.ik",
    "fit_body": "fitting.scale_from_motion",
    "inverse_kinematics": "fitting.ik",
}

__all__ = sorted(_ROOM)


def __getattr__(name: str) -> Any:
    """Fetch a public name from its room (PEP 562)."""
    if name not in _ROOM:
        raise AttributeError(f"module 'motorque' has no attribute {name!r}; it offers {', '.join(__all__)}")
    value = getattr(import_module(f"motorque.{_ROOM[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
