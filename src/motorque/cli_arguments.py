"""What may be written behind an option: each function turns the text into a value or says in one line what is wrong."""

from __future__ import annotations

import argparse
import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from motorque.errors import DataError, OutputError

RECORDINGS = (".trc", ".c3d")
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".3gp")

MASS_RANGE = (2.0, 650.0)
"""Body masses taken as meant in kilograms: from a newborn to the heaviest person on record."""

HEIGHT_RANGE = (0.4, 2.75)
"""Body heights taken as meant in metres: from a newborn to the tallest person on record."""

RESULTS = (
    "model.osim",
    "markers.trc",
    "cameras.toml",
    "kinematics.mot",
    "loads.mot",
    "kinetics.sto",
    "summary.json",
    "report.html",
)
"""The files that ``analyze`` writes."""


def existing_file(text: str) -> Path:
    """A file that is there; raises :class:`argparse.ArgumentTypeError` otherwise."""
    path = Path(text)
    try:
        if path.is_dir():
            raise argparse.ArgumentTypeError(f"{text or '.'} is a folder; give the name of a file")
        if not path.exists():
            raise argparse.ArgumentTypeError(f"{text}: there is no such file; check the name and the folder")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text[:80]}: {error.strerror}; check the name and the folder") from error
    return path


def existing_path(text: str) -> Path:
    """A file or folder that is there; raises :class:`argparse.ArgumentTypeError` otherwise."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text}: there is no such file; check the name and the folder")
    return path


def output_path(text: str) -> Path:
    """The name of something to be written; it need not exist."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("the name is empty; say where the result should go")
    return Path(text)


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number")
    return value


def mass(text: str) -> float:
    """A body mass [kg]."""
    value, (low, high) = number(text), MASS_RANGE
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text} is no body mass; give kilograms, {low:g} to {high:g}")
    return value


def height(text: str) -> float:
    """A body height [m]."""
    value, (low, high) = number(text), HEIGHT_RANGE
    if not low <= value <= high:
        hint = f"did you mean {value / 100:g}?" if low <= value / 100 <= high else f"{low:g} to {high:g}"
        raise argparse.ArgumentTypeError(f"{text} is no body height; give metres, {hint}")
    return value


def sex(text: str) -> str:
    """``f``, ``m`` or ``unknown``; ``female`` and ``male`` are as good."""
    found = {"female": "f", "male": "m"}.get(text.lower(), text.lower())
    if found not in ("f", "m", "unknown"):
        raise argparse.ArgumentTypeError(f"{text!r} is none of f (female), m (male) and unknown")
    return found


def cutoff(text: str) -> float:
    """A cutoff frequency [Hz]."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no cutoff frequency; give hertz above zero, such as 6")
    return value


def field_of_view(text: str) -> float:
    """An angle of view [deg]."""
    value = number(text)
    if not 5.0 <= value <= 150.0:
        raise argparse.ArgumentTypeError(f"{text} is no angle of view; give degrees, 5 to 150 (phones have about 67)")
    return value


def rate(text: str) -> float:
    """A frame rate [Hz]."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is no frame rate; give frames a second above zero, such as 30")
    return value


def index(text: str) -> int:
    """The number of a person, from 0."""
    if not text.isdecimal() or len(text) > 3:
        raise argparse.ArgumentTypeError(f"{text!r} is no person's number; give 0 for the largest, 1 for the next …")
    return int(text)


def turn(text: str) -> int:
    """A quarter turn [degrees]."""
    if text not in ("0", "90", "180", "270"):
        raise argparse.ArgumentTypeError(f"{text!r} is no quarter turn; give 0, 90, 180 or 270")
    return int(text)


def axis(text: str) -> str:
    """An axis of the recording, with a sign if it points down: ``x``, ``-y`` …; lower case, no plus sign."""
    value = text.lower().removeprefix("+")
    if value.removeprefix("-") not in ("x", "y", "z"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an axis; give x, y, z, or -x, -y, -z where it points down")
    return value


def pose_axis(text: str) -> str:
    """What is up in the world of SMPL poses: ``y``, ``z``, ``-y`` or ``-z``."""
    value = axis(text)
    if value.endswith("x"):
        raise argparse.ArgumentTypeError(f"{text!r} is no up axis of SMPL poses; give y, z, -y or -z")
    return value


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list of names; may be empty (nothing is left out)."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def one_of(*suffixes: str) -> Callable[[str], Path]:
    """A type for an existing file with one of the given suffixes."""

    def file_of_kind(text: str) -> Path:
        path = existing_file(text)
        if path.suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"{text} is not a {' or '.join(suffixes)} file")
        return path

    return file_of_kind


def check_interval(start: float | None, end: float | None) -> None:
    """Refuse an interval that ends before it starts [s]."""
    if start is not None and end is not None and end <= start:
        raise DataError(f"--end: {end:g} s is not after --start, {start:g} s; give a later end")


def are_videos(inputs: Sequence[Path]) -> bool:
    """Whether the inputs are videos; raises :class:`DataError` where only some of them are."""
    videos = [path for path in inputs if path.suffix.lower() in VIDEOS]
    if videos and len(videos) < len(inputs):
        other = next(path for path in inputs if path not in videos)
        raise DataError(f"{other}: is no video, {videos[0].name} is one; analyze takes videos or a marker recording")
    return bool(videos)


def check_video_options(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing for videos."""
    for name in ("static", "loads", "up", "units"):
        if getattr(options, name) is not None:
            raise DataError(f"--{name}: goes with marker recordings, not with videos; leave it out")
    if options.model_errors:
        raise DataError("--model-errors: goes with marker recordings, not with videos; leave it out")
    if options.fov is not None and options.cameras is not None:
        raise DataError("--fov: the calibration behind --cameras tells the angle of view; leave one of them out")
    if options.prior is not None and len(options.inputs) > 1:
        raise DataError("--prior: several cameras leave nothing open to guess; leave it out")
    if options.blur_faces and options.no_pictures:
        raise DataError("--blur-faces: with --no-pictures there is nothing to blur; leave one of them out")


def check_marker_options(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing for marker recordings."""
    given = {
        "fov": options.fov is not None,
        "cameras": options.cameras is not None,
        "person": options.person is not None,
        "turn": options.turn is not None,
        "detector-model": options.detector_model is not None,
        "facing": options.facing != "auto",
        "detector": options.detector != "mediapipe",
        "fps": options.fps != 30.0,
        "prior": options.prior is not None,
        "no-pictures": options.no_pictures,
        "blur-faces": options.blur_faces,
    }
    for name, there in given.items():
        if there:
            raise DataError(f"--{name}: goes with videos, not with marker recordings; leave it out")


def check_recordings(inputs: Sequence[Path]) -> None:
    """Refuse what is not one trial: several recordings, or a file that is no recording."""
    trials = [path for path in inputs if path.suffix.lower() in RECORDINGS]
    for path in inputs:
        if path not in trials:
            raise DataError(f"{path}: is no recording (.trc, .c3d or video); {_hint(path.suffix.lower())}")
    if len(trials) > 1:
        shown = ", ".join(str(path) for path in trials[:3]) + (" …" if len(trials) > 3 else "")
        raise DataError(
            f"{shown}: are several trials; run them one by one, each with its own --out"
            " (a standing trial goes behind --static)"
        )


def _hint(suffix: str) -> str:
    match suffix:
        case ".mot" | ".sto":
            return (
                "force plates go behind --loads; joint angles go to 'motorque id --motion' or 'motorque loads --motion'"
            )
        case ".xml":
            return "external loads go behind --loads; setups go to 'motorque scale' and 'motorque ik'"
        case ".osim":
            return "a model goes behind --model"
        case _:
            return "export the markers to one of these from the motion capture software"


def check_output_file(out: Path, inputs: Sequence[Path | None]) -> None:
    """Refuse to write over an input, or where nothing can be written: better said before the work than after it."""
    from motorque.files.output import replacing

    _check_apart([out], inputs)
    with contextlib.suppress(_OnlyTrying), replacing(out):
        raise _OnlyTrying


def check_output_folder(out: Path, inputs: Sequence[Path | None]) -> None:
    """The same for the folder of ``analyze``'s results."""
    from motorque.files.output import OutputFolder

    _check_apart([out / name for name in RESULTS], inputs)
    with contextlib.suppress(_OnlyTrying), OutputFolder(out):
        raise _OnlyTrying


def check_two_outputs(first: Path, second: Path) -> None:
    """Refuse two results of the same name, of which one would be lost."""
    if first.resolve() == second.resolve():
        raise OutputError(f"{second}: is the name of two results; give each its own")


TORQUE_RESULTS = (
    "torques.csv",
    "torques.npz",
    "kinematics.mot",
    "kinematics_std.sto",
    "kinetics.sto",
    "kinetics_std.sto",
    "loads.mot",
    "loads_std.sto",
    "poses.npz",
    "segments.csv",
    "summary.json",
    "report.html",
)
"""The files that ``torques`` writes."""
REFINE_RESULTS = ("poses.npz", "kinematics.mot", "motion.mot", "kinematics_std.sto", "summary.json", "report.html")
"""The files that ``refine`` writes."""


def check_torques_folder(out: Path, inputs: Sequence[Path | None]) -> None:
    """Refuse to write over an input, or where nothing can be written."""
    from motorque.files.output import OutputFolder

    _check_apart([out / name for name in TORQUE_RESULTS], inputs)
    with contextlib.suppress(_OnlyTrying), OutputFolder(out):
        raise _OnlyTrying


def check_refine_folder(out: Path, inputs: Sequence[Path | None]) -> None:
    """Refuse to write over an input, or where nothing can be written."""
    from motorque.files.output import OutputFolder

    _check_apart([out / name for name in REFINE_RESULTS], inputs)
    with contextlib.suppress(_OnlyTrying), OutputFolder(out):
        raise _OnlyTrying


class _OnlyTrying(Exception):
    """Ends a write before anything is put in place."""


def _check_apart(results: Sequence[Path], inputs: Sequence[Path | None]) -> None:
    for result in results:
        for path in inputs:
            if path is not None and result.exists() and result.samefile(path):
                raise OutputError(
                    f"{path}: is an input and would be overwritten; choose another name or folder with --out"
                )
