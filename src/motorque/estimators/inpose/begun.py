"""What a training's folder says it was begun with, from its first moment on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from motorque.errors import DataError, FileFormatError, MotorqueError
from motorque.files.output import write_bytes, write_text

SETTINGS = "settings.json"


@contextlib.contextmanager
def asked_for(run: Path, about: Mapping[str, Any], *, writes: bool) -> Iterator[None]:
    """Have in a training's folder what was asked for while the training is prepared, which may take long.

    Whoever is killed meanwhile goes on with that. A training that is refused leaves the file as it was.

    Args:
        run: The training's folder.
        about: What was asked for, with ``training`` among it.
        writes: Whether to write at all: not where the folder has its settings, nor in any process but the first.

    Raises:
        OutputError: The folder can't be written to.
    """
    if not writes:
        yield
        return
    path = run / SETTINGS
    before, there = path.read_bytes() if path.is_file() else None, run.is_dir()
    write_text(path, json.dumps(about, indent=1) + "\n")
    try:
        yield
    except MotorqueError:
        if before is not None:
            write_bytes(path, before)
            raise
        path.unlink(missing_ok=True)
        if not there:
            with contextlib.suppress(OSError):  # a library was made in it already
                run.rmdir()
        raise


def read_settings(run: Path) -> dict[str, Any]:
    """What a training's folder says about it, ``training`` by name at least.

    Raises:
        FileFormatError: It says nothing that could be understood.
    """
    path = run / SETTINGS
    try:
        about = dict(json.loads(path.read_text()))
        dict(about["training"])
        return about
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise FileFormatError(f"{path}: holds no settings of a training ({error}); begin anew elsewhere") from None


def refuse_others(run: Path, given: Mapping[str, Any], *, rate: Callable[[str, str], float | None]) -> None:
    """Refuse options that a training was not begun with: it goes on with its own, not with these.

    What the training chose itself (its split, learning rate and dropout, or steps of the minutes) may be given too.

    Args:
        run: The training's folder; one without settings has not begun, and takes everything.
        given: Settings of :class:`motorque.estimators.inpose.train.PriorTraining` that were given, by name.
        rate: The learning rate that a method has for a size if none is given; None if there is no such method.

    Raises:
        DataError: One differs; the message names the option and both values.
        FileFormatError: The folder says nothing that could be understood.
    """
    if not (run / SETTINGS).is_file():
        return
    about = read_settings(run)
    own = dict(about["training"])
    if own.get("rate") is None and {"method", "size"} <= set(own):
        own["rate"] = rate(own["method"], own["size"])
    if own.get("dropout") is None:
        own["dropout"] = about.get("network", {}).get("dropout")
    chosen = about.get("data", {})  # not there before the library is made
    for part in ("test", "validation"):
        own[part] = chosen.get(part, own.get(part))
    for name, value in given.items():
        if name in own and _plain(own[name]) != _plain(value):
            option = f"--{name}"
            raise DataError(
                f"{run}: was begun with {option} {_said(own[name])}, not {_said(value)}; leave {option} out to go on, "
                "or begin another training with another --out"
            )


def _plain(value: Any) -> Any:
    """A value as it is compared: names in any order."""
    return sorted(set(value)) if isinstance(value, list | tuple) else value


def _said(value: Any) -> str:
    """A value as it is given on the command line."""
    if isinstance(value, list | tuple):
        return ",".join(value) or "''"
    return "of its own choice" if value is None else str(value).removesuffix(".0")
