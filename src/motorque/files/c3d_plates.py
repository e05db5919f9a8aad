"""The force plates of a C3D file: its FORCE_PLATFORM group and analog channels turned into wrenches on the body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motorque.errors import FileFormatError
from motorque.files.plates import CHANNELS, PlateRecord, plate_wrench, without_baseline
from motorque.journal import Journal

Array = NDArray[np.float64]

LOADED = 100.0
"""Vertical force from which on a person certainly stands on a plate [N]."""
_MOMENT_UNITS = {"nmm": 1e-3, "ncm": 1e-2, "nm": 1.0}
_LENGTH_UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}


def read_plates(
    path: Path,
    parameters: Mapping[str, Any],
    analogs: Array,
    units: list[str],
    times: Array,
    scale: float,
    rotation: Array,
    journal: Journal,
) -> tuple[PlateRecord, ...]:
    """All force plates of a file, in ground; none is an empty tuple.

    A plate's force is turned so that it presses the body upward: some systems write what the body does to the plate.
    Baselines are taken off where FORCE_PLATFORM:ZERO names frames and the plate was unloaded in them.

    Args:
        path: The file, for messages.
        parameters: ezc3d's parameters.
        analogs: All channels, shape [K, C].
        units: Unit of each channel, as the file names it.
        times: Time of each analog sample [s], shape [K].
        scale: Metres in the points' length unit.
        rotation: From the file's axes to ground, shape [3, 3].
        journal: Where baselines, signs and doubts are recorded.

    Raises:
        FileFormatError: A plate's type is not supported, or its description is incomplete; the message names it.
    """
    table = parameters.get("FORCE_PLATFORM", {})
    used = int(np.ravel(_value(table, "USED", [0]))[0]) if np.size(_value(table, "USED", [0])) else 0
    if used <= 0:
        return ()
    if not len(times):
        raise FileFormatError(f"{path}: describes {used} force plates but has no analog samples; export it again")
    return tuple(_plate(path, table, index, analogs, units, times, scale, rotation, journal) for index in range(used))


def _value(table: Mapping[str, Any], name: str, default: object) -> Any:
    return table[name]["value"] if name in table else default


def _of_plate(path: Path, table: Mapping[str, Any], name: str, index: int, shape: tuple[int, ...]) -> Array:
    """One plate's part of a parameter whose last dimension counts the plates."""
    values = np.asarray(_value(table, name, []), dtype=np.float64)
    size = int(np.prod(shape))
    flat = values.ravel(order="F")[index * size : (index + 1) * size]
    if flat.size < size:
        raise FileFormatError(
            f"{path}: FORCE_PLATFORM:{name} has no values for force plate {index + 1}; export it again"
        )
    return flat.reshape(shape, order="F")


def _plate(
    path: Path,
    table: Mapping[str, Any],
    index: int,
    analogs: Array,
    units: list[str],
    times: Array,
    scale: float,
    rotation: Array,
    journal: Journal,
) -> PlateRecord:
    name = f"plate_{index + 1}"
    kind = int(_of_plate(path, table, "TYPE", index, (1,))[0])
    if kind not in CHANNELS:
        raise FileFormatError(
            f"{path}: force plate {index + 1} is of type {kind}, which is not supported; export it as type 1 to 4"
        )
    rows = np.asarray(_value(table, "CHANNEL", []))
    per_plate = rows.shape[0] if rows.ndim == 2 else CHANNELS[kind]
    if per_plate < CHANNELS[kind]:
        raise FileFormatError(
            f"{path}: force plate {index + 1} of type {kind} needs {CHANNELS[kind]} channels, got {per_plate}"
        )
    chosen = _of_plate(path, table, "CHANNEL", index, (per_plate,)).astype(int)[: CHANNELS[kind]] - 1
    if (chosen < 0).any() or (chosen >= analogs.shape[1]).any():
        raise FileFormatError(
            f"{path}: force plate {index + 1} names an analog channel that is missing; export it again"
        )
    corners = _of_plate(path, table, "CORNERS", index, (3, 4)).T * scale
    origin = _of_plate(path, table, "ORIGIN", index, (3,)) * scale
    calibration = _of_plate(path, table, "CAL_MATRIX", index, (6, 6)) if kind == 4 else None
    factors = _to_si(kind, [units[c] for c in chosen], scale)

    def wrench(channels: Array) -> tuple[Array, Array]:
        calibrated = channels if calibration is None else channels @ calibration.T
        try:
            force, moment = plate_wrench(kind, calibrated * factors, origin, corners)
        except ValueError as error:
            raise FileFormatError(f"{path}: force plate {index + 1}: {error}; correct FORCE_PLATFORM") from None
        return force @ rotation.T, moment @ rotation.T

    channels = analogs[:, chosen]
    if not np.isfinite(channels).all():
        raise FileFormatError(f"{path}: force plate {index + 1} has samples that are no numbers; export it again")
    force, moment = wrench(channels)
    sign = _upward_sign(path, force[:, 1], name, journal)
    zero = _baseline_samples(path, table, len(times), journal)
    if zero is not None:
        zeroed, zeroed_moment = wrench(without_baseline(channels, *zero))
        if _baseline_is_unloaded(sign * force[:, 1], sign * zeroed[:, 1], zero):
            offset = float(np.abs(force[slice(*zero), 1].mean()))
            journal.repair(f"baseline of {offset:.1f} N (vertical) taken off, by the frames that the file names", name)
            force, moment = zeroed, zeroed_moment
        else:
            journal.warn(
                "no baseline is taken off: somebody seems to stand on the plate in the frames named for it", name
            )
    record = PlateRecord(name, corners @ rotation.T, times, sign * force, sign * moment)
    _check_pressure_points(record, journal)
    return record


def _to_si(kind: int, units: list[str], scale: float) -> Array:
    """Factors from the channels' units to N, N·m and m; a moment of unknown unit is N times the points' length unit."""
    plain = [unit.lower().replace(".", "").replace("·", "").replace("*", "").replace(" ", "") for unit in units]
    forces = [1e3 if unit == "kn" else 1.0 for unit in plain]
    # What a calibration matrix yields has the points' length unit, whatever the raw channel was called.
    moments = [scale if kind == 4 else _MOMENT_UNITS.get(unit, scale) for unit in plain]
    if kind == 1:
        return np.array([*forces[:3], *(_LENGTH_UNITS.get(unit, scale) for unit in plain[3:5]), moments[5]])
    if kind == 3:
        return np.array(forces[:8])
    return np.array([*([1.0] * 3 if kind == 4 else forces[:3]), *moments[3:6]])


def _upward_sign(path: Path, vertical: Array, name: str, journal: Journal) -> float:
    """1 where the plate presses the body up when loaded, -1 where the file holds the force of the body on the plate."""
    loaded = vertical[np.abs(vertical) > LOADED]
    if len(loaded) == 0 or np.median(loaded) > 0:
        return 1.0
    journal.repair("the file holds the force on the plate; turned round to the force on the body", name)
    return -1.0


def _baseline_samples(path: Path, table: Mapping[str, Any], samples: int, journal: Journal) -> tuple[int, int] | None:
    """The samples of FORCE_PLATFORM:ZERO, which counts from 1 (1, 0 or 0, 0 say that there are none)."""
    zero = [int(v) for v in np.ravel(_value(table, "ZERO", []))]
    if len(zero) < 2 or not 1 <= zero[0] <= zero[1]:
        return None
    if zero[1] > samples:
        journal.warn(f"no baseline is taken off: its frames {zero[0]} to {zero[1]} are not in the file", str(path))
        return None
    return zero[0] - 1, zero[1]


def _baseline_is_unloaded(before: Array, after: Array, zero: tuple[int, int]) -> bool:
    """Whether nobody stood on the plate in the baseline frames: nothing pulls at it once they are taken for zero."""
    if np.quantile(after, 0.05) < -0.5 * LOADED:
        return False
    return bool(abs(before[slice(*zero)].mean()) < LOADED or after.max() > LOADED)


def _check_pressure_points(record: PlateRecord, journal: Journal) -> None:
    """Warn where a loaded plate's centre of pressure lies over 5 cm off its surface."""
    loaded = record.force[:, 1] > LOADED
    if not loaded.any():
        return
    center = record.corners.mean(axis=0)
    along_x, along_y = record.corners[0] - record.corners[1], record.corners[0] - record.corners[3]
    offset = record.center_of_pressure()[loaded] - center
    outside = np.zeros(len(offset), dtype=bool)
    for edge in (along_x, along_y):
        length = float(np.linalg.norm(edge))
        outside |= np.abs(offset @ (edge / length)) > 0.5 * length + 0.05
    if outside.mean() > 0.05:
        journal.warn(
            f"the centre of pressure lies off the plate in {100 * outside.mean():.0f} % of the loaded samples; check "
            "the plate's corners, origin and units",
            record.name,
        )
