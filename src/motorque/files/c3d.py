"""Laboratory recordings in .c3d files: markers, force plates, analog channels and events, brought into ground.

The file itself is read by ezc3d. What its numbers mean follows the C3D format's user guide (Motion Lab Systems 2008).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ezc3d
import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError, FileFormatError
from motorque.files.axes import SURE, guess_up_axis, rotate_to_ground, up_axis
from motorque.files.c3d_plates import read_plates
from motorque.files.c3d_structure import check_structure
from motorque.files.plates import PlateRecord
from motorque.journal import Journal
from motorque.series import Markers

Array = NDArray[np.float64]

LENGTHS = {"mm": 1e-3, "cm": 1e-2, "dm": 0.1, "m": 1.0, "meters": 1.0, "in": 0.0254}
"""Metres in each length unit that files name."""
# What models compute from the markers; the groups of POINT:TYPE_GROUPS hold more in newer files.
_COMPUTED = ("ANGLES", "FORCES", "MOMENTS", "POWERS", "SCALARS", "REACTIONS", "MODELED_MARKERS", "BONES")


@dataclass(frozen=True)
class Event:
    """Something that was marked in the recording, such as a foot strike.

    Args:
        label: What happened (``Foot Strike``).
        context: Whose (``Left``, ``Right``, ``General``).
        time: When, on the markers' time axis [s].
    """

    label: str
    context: str
    time: float


@dataclass(frozen=True)
class C3D:
    """A recording in motorque's ground frame (Y up, metres).

    Args:
        markers: The labelled markers; their times are the laboratory's, so a cut recording does not begin at 0.
        plates: Force plates as wrenches on the body, at the analog rate.
        analog: All analog channels by name in their own units, each of shape [K].
        analog_units: Unit of each channel as the file names it.
        analog_times: Time of each analog sample [s], shape [K].
        events: Events in the order of time.
        up: The file's axis that became Y.
        rotation: Rotation that was applied, ``ground = R @ file``, shape [3, 3].
        mass: Body mass in the file [kg], or None.
        height: Body height in the file [m], or None.
        subject: All numbers of the PROCESSING group in the file's own units (lengths in millimetres, as a rule).
    """

    markers: Markers
    plates: tuple[PlateRecord, ...]
    analog: dict[str, Array]
    analog_units: dict[str, str]
    analog_times: Array
    events: tuple[Event, ...]
    up: str
    rotation: Array
    mass: float | None
    height: float | None
    subject: dict[str, float]

    @property
    def analog_rate(self) -> float:
        """Sampling rate of the analog channels [Hz]; NaN where there are none."""
        times = self.analog_times
        return float((len(times) - 1) / (times[-1] - times[0])) if len(times) > 1 else float("nan")


def read_c3d(path: str | Path, *, journal: Journal, up: str | None = None, units: str | None = None) -> C3D:
    """Read a ``.c3d`` file into ground.

    Samples with a negative residual and points at exactly the origin are gaps. Unlabelled points, points that a model
    computed (angles, forces, moments, powers, segment axes) and markers that are never seen are left out, and named in
    the journal. The up axis is the one that the file names as its screen's vertical (POINT:Y_SCREEN), otherwise it is
    guessed from the markers.

    Args:
        path: The file.
        journal: Where repairs, assumptions and omissions are recorded.
        up: The file's axis that points up, instead of what file and markers say.
        units: Length unit of the points (``mm`` or ``m``) instead of the one in the file.

    Raises:
        FileFormatError: The file is missing, empty, cut off or no ``.c3d``, holds no marker, or has a force plate of a
            type that is not supported.
        DataError: ``up`` or ``units`` is unknown.
    """
    path = Path(path)
    check_structure(path)
    try:
        content = ezc3d.c3d(str(path))
        parameters: Mapping[str, Any] = content["parameters"]
        points, residuals = content["data"]["points"], content["data"]["meta_points"]["residuals"][0]
        analogs = content["data"]["analogs"][0]
        first_frame = int(content["header"]["points"]["first_frame"])
    except Exception as error:  # ezc3d raises whatever C++ threw
        reason = str(error).removesuffix(": iostream error").split("\n")[0]
        raise FileFormatError(f"{path}: can't be read as a C3D file ({reason}); export it again") from None
    rate = float(_first(parameters, "POINT", "RATE", 0.0))
    if not (np.isfinite(rate) and rate > 0):
        raise FileFormatError(f"{path}: POINT:RATE is {rate:g}; it must be the markers' frames per second")

    raw = np.moveaxis(points[:3], 0, -1).transpose(1, 0, 2).astype(np.float64)  # [T, M, 3]
    raw[(residuals.T < 0) | (raw == 0).all(axis=-1)] = np.nan
    names, keep = _marker_names(path, parameters, raw, journal)
    times = (first_frame + np.arange(len(raw))) / rate
    scale = _length_unit(path, str(_first(parameters, "POINT", "UNITS", "")), units, raw[:, keep], journal)
    recorded = Markers(times, raw[:, keep] * scale, names)
    axis = _vertical(path, parameters, recorded, up, journal)
    markers, rotation = rotate_to_ground(recorded, axis, journal=journal)

    labels = _unique(texts(parameters, "ANALOG", "LABELS", len(analogs)), "channel")
    channel_units = texts(parameters, "ANALOG", "UNITS", len(analogs))
    count = analogs.shape[1] if len(analogs) else 0
    analog_times = times[0] + np.arange(count) * (len(times) / rate / count if count else 0.0)
    plates = read_plates(path, parameters, analogs.T, channel_units, analog_times, scale, rotation, journal)
    subject = _subject(parameters)
    return C3D(
        markers,
        plates,
        dict(zip(labels, analogs, strict=True)),
        dict(zip(labels, channel_units, strict=True)),
        analog_times,
        _events(parameters),
        axis,
        rotation,
        _plausible(subject, "bodymass", 10.0, 300.0, 1.0),
        _plausible(subject, "height", 0.5, 2.5, 1e-3),
        subject,
    )


def texts(parameters: Mapping[str, Any], group: str, name: str, count: int) -> list[str]:
    """The ``count`` texts of a parameter and its continuations (LABELS, LABELS2 and so on), blank where missing."""
    table = parameters.get(group, {})
    values = [str(v).strip() for v in _values(table, name)]
    index = 2
    while f"{name}{index}" in table:
        values += [str(v).strip() for v in _values(table, f"{name}{index}")]
        index += 1
    return (values + [""] * count)[:count]


def _values(table: Mapping[str, Any], name: str) -> list[Any]:
    return list(np.ravel(table[name]["value"])) if name in table else []


def _first(parameters: Mapping[str, Any], group: str, name: str, default: Any) -> Any:
    values = _values(parameters.get(group, {}), name)
    return values[0] if values else default


def _marker_names(
    path: Path, parameters: Mapping[str, Any], raw: Array, journal: Journal
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the markers, and which points they are."""
    point = parameters.get("POINT", {})
    labels = texts(parameters, "POINT", "LABELS", raw.shape[1])
    descriptions = texts(parameters, "POINT", "DESCRIPTIONS", raw.shape[1])
    groups = {*_COMPUTED, *(str(g).strip() for g in _values(point, "TYPE_GROUPS"))}
    computed = {str(v).strip() for group in groups for v in _values(point, group)}
    plain = {label.rsplit(":", 1)[-1] for label in labels}
    # A model's segment axes come as four points: origin, anterior, lateral and proximal (Plug-in Gait).
    axes = {s[:-1] + end for s in plain if len(s) == 4 for end in "OALP" if all(s[:-1] + e in plain for e in "OALP")}
    left_out = computed | axes

    unlabelled = [i for i, label in enumerate(labels) if not re.search(r"\w", label) or label.startswith("*")]
    rest = [i for i in range(len(labels)) if i not in set(unlabelled)]
    modelled = [i for i in rest if labels[i] in left_out or labels[i].rsplit(":", 1)[-1] in left_out]
    seen = np.any(np.isfinite(raw), axis=(0, 2)).tolist()
    rest = [i for i in rest if i not in set(modelled)]
    never = [i for i in rest if not seen[i]]
    keep = [i for i in rest if seen[i]]
    if unlabelled:
        journal.info(f"{len(unlabelled)} unlabelled points left out", str(path))
    if modelled:
        some = _some([labels[i] for i in modelled])
        journal.info(f"{len(modelled)} points that a model computed are left out: {some}", str(path))
    if never:
        journal.info(f"markers that are never seen are left out: {', '.join(labels[i] for i in never)}", str(path))
    if not keep:
        raise FileFormatError(f"{path}: holds no labelled marker; label the points and export it again")
    return _distinct(path, [labels[i] for i in keep], [descriptions[i] for i in keep], journal), keep


def _distinct(path: Path, labels: list[str], descriptions: list[str], journal: Journal) -> tuple[str, ...]:
    """Labels without their subject's prefix, each once: where labels repeat, the descriptions must tell them apart."""
    subjects = {label.rsplit(":", 1)[0] for label in labels if ":" in label}
    if len(subjects) == 1:
        labels = [label.rsplit(":", 1)[-1] for label in labels]
    elif subjects:
        journal.warn(f"markers of several subjects: {_some(sorted(subjects))}; their names keep the prefix", str(path))
    counts = Counter(labels)
    repeated = [label for label, count in counts.items() if count > 1]
    if not repeated:
        return tuple(labels)
    # Labels cut to four letters, as Motion Analysis wrote them, have the marker set's own names beside them.
    if len(set(descriptions)) == len(descriptions) and all(0 < len(d) <= 24 for d in descriptions):
        journal.repair(
            f"labels occur more than once ({_some(repeated)}); the descriptions are taken for names", str(path)
        )
        return tuple(descriptions)
    journal.repair(f"labels occur more than once ({_some(repeated)}); they are numbered", str(path))
    return tuple(_unique(labels, "marker"))


def _unique(names: list[str], blank: str) -> list[str]:
    """Names with a number behind those that repeat or are empty."""
    taken: set[str] = set()
    result = []
    for index, name in enumerate(names, 1):
        candidate, number = name or f"{blank}_{index}", 2
        while candidate in taken:
            candidate, number = f"{name or blank}_{number}", number + 1
        taken.add(candidate)
        result.append(candidate)
    return result


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _length_unit(path: Path, stated: str, given: str | None, raw: Array, journal: Journal) -> float:
    """Metres in the points' length unit: the given one, or the stated one unless no person could have that size."""
    if given is not None:
        if given.lower() not in LENGTHS:
            raise DataError(f"unit {given!r} is not known; use mm or m")
        return LENGTHS[given.lower()]
    factor = LENGTHS.get(stated.lower())
    several = raw[np.isfinite(raw[..., 0]).sum(axis=1) >= min(4, raw.shape[1])]
    spans = (np.nanmax(several, axis=1) - np.nanmin(several, axis=1)).max(axis=-1)
    span = float(np.median(spans)) if len(several) else 0.0
    if factor is None:
        factor, unit = (1.0, "metres") if 0 < span < 20 else (1e-3, "millimetres")
        journal.assume(f"POINT:UNITS is {stated!r}; the points are read as {unit}", str(path))
    elif factor == 1.0 and span > 50:
        journal.repair(f"the file says metres, but the markers would span {span:.0f} m; read as millimetres", str(path))
        factor = 1e-3
    elif factor == 1e-3 and 0.1 < span < 20:
        journal.repair(f"the file says millimetres, but the markers would span {span:.2g} mm; read as m", str(path))
        factor = 1.0
    return factor


def _vertical(path: Path, parameters: Mapping[str, Any], recorded: Markers, up: str | None, journal: Journal) -> str:
    """The file's up axis: as given, as the file names its screen's vertical, or guessed."""
    if up is not None:
        return up_axis(up)
    screen = str(_first(parameters, "POINT", "Y_SCREEN", "")).strip()
    try:
        guess, confidence = guess_up_axis(recorded)
    except DataError:
        guess, confidence = "", 0.0
    if screen:
        try:
            stated = up_axis(screen)
        except DataError:
            journal.warn(f"POINT:Y_SCREEN is {screen!r}, which is no axis; it is ignored", str(path))
        else:
            if guess != stated and confidence > SURE:
                journal.warn(
                    f"the file's vertical is {stated.upper()}, but the markers stand along {guess.upper()}; the file's "
                    f"axis is taken, give --up={guess} if the markers are right",
                    str(path),
                )
            return stated
    if not guess:
        raise FileFormatError(f"{path}: neither POINT:Y_SCREEN nor the markers tell which axis points up; give --up")
    journal.assume(f"{guess.upper()} is taken for the up axis, from the markers", str(path))
    if confidence < SURE:
        journal.warn(f"it is not clear which axis points up; {guess} is taken, give --up if that is wrong", str(path))
    return guess


def _events(parameters: Mapping[str, Any]) -> tuple[Event, ...]:
    """Events of the EVENT group in the order of time; their times are minutes and seconds."""
    table = parameters.get("EVENT", {})
    if "TIMES" not in table:
        return ()
    # Pairs in the file's order, whether the parameter says [2, n] or is flat.
    flat = np.ravel(np.asarray(table["TIMES"]["value"], dtype=np.float64), order="F")
    seconds = flat[: len(flat) // 2 * 2].reshape(-1, 2) @ np.array([60.0, 1.0])
    labels = texts(parameters, "EVENT", "LABELS", len(seconds))
    contexts = texts(parameters, "EVENT", "CONTEXTS", len(seconds))
    used = int(_first(parameters, "EVENT", "USED", len(seconds)))
    events = [Event(*e) for e in zip(labels[:used], contexts[:used], seconds[:used].tolist(), strict=True)]
    return tuple(sorted(events, key=lambda event: event.time))


def _subject(parameters: Mapping[str, Any]) -> dict[str, float]:
    """The single numbers of the PROCESSING group."""
    result = {}
    for name, parameter in parameters.get("PROCESSING", {}).items():
        values = np.ravel(parameter.get("value", []))
        if name != "__METADATA__" and values.size == 1 and np.issubdtype(values.dtype, np.number):
            result[name] = float(values[0])
    return result


def _plausible(subject: dict[str, float], name: str, low: float, high: float, factor: float) -> float | None:
    """A subject parameter by its name in any capitals, within limits, tried as it is and times ``factor``; or None."""
    value = next((v for key, v in subject.items() if key.lower() == name), None)
    return None if value is None else next((v for v in (value, value * factor) if low <= v <= high), None)
