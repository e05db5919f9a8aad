"""Whether the camera moved: shifts of the background, away from the person, by phase correlation of small pictures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from motorque.vision.picture import Picture

Array = NDArray[np.float64]

INTERVAL = 0.5
"""Time between two looks at the background [s]."""

LONG_SIDE = 384
"""Longer side of the picture that is looked at [px]."""

TILE = 64
"""Side of the parts that are compared [px]."""

CLEAR = 0.08
"""Height of the correlation's peak from which a part's shift counts: unrelated parts reach 0.05."""

REFERENCE = 5.0
"""For so long [s] a look serves as the reference that later ones are compared with too: slow pans and zooms stay below
:data:`STEADY` from one look to the next. After more, light and shadows may have changed."""

STEADY = 0.004
"""Shift, as a share of the picture's longer side, from which the camera is said to move: 5 px of 1280. Compression and
rolling shadows stay below 0.002."""


@dataclass
class CameraMotion:
    """Looks at the background about twice a second; cheap enough to run beside a detector."""

    _first: tuple[float, Array, NDArray[np.bool_]] | None = None
    _crept: list[float] = field(default_factory=list)
    _last: Array | None = None
    _time: float = -np.inf
    _clear: NDArray[np.bool_] | None = None
    shifts: list[tuple[float, float]] = field(default_factory=list)
    """Time [s] and shift of the background since the look before, as a share of the picture's longer side."""

    def look(self, time: float, picture: Picture, person: Array | None) -> None:
        """Look at a picture if it is time to.

        Args:
            time: The picture's time [s].
            picture: RGB.
            person: The person's points in it [px], shape [K, 2], or None; the box about them is left out.
        """
        if time - self._time < INTERVAL:
            return
        step = max(1, round(max(picture.shape[:2]) / LONG_SIDE))
        small = _shrunk(picture, step)
        clear = _tiles_without(person, small.shape, step)
        if self._last is not None and self._clear is not None and self._last.shape == small.shape:
            shift = _background_shift(self._last, small, clear & self._clear)
            if shift is not None:
                self.shifts.append((time, shift / max(small.shape)))
        self._compare(time, small, clear)
        self._last, self._clear, self._time = small, clear, time

    def _compare(self, time: float, small: Array, clear: NDArray[np.bool_]) -> None:
        """Look whether the background has crept away since the reference."""
        if self._first is not None and self._first[1].shape == small.shape and time - self._first[0] <= REFERENCE:
            since, before, free = self._first
            shift = _background_shift(before, small, clear & free)
            if shift is None or shift / max(small.shape) <= STEADY:
                return
            # Every look since then is of the movement: it has no moment of its own.
            self._crept += [*(at for at, _ in self.shifts if since < at < time), time]
        self._first = (time, small, clear)

    @property
    def moving(self) -> list[float]:
        """When the camera moved [s]."""
        return sorted({*self._crept, *(time for time, shift in self.shifts if shift > STEADY)})


def _shrunk(picture: Picture, step: int) -> Array:
    """The green channel, averaged over squares of ``step`` pixels."""
    height, width = (side // step * step for side in picture.shape[:2])
    green = picture[:height, :width, 1].reshape(height // step, step, width // step, step)
    return np.asarray(green.mean((1, 3), dtype=np.float64))


def _tiles_without(person: Array | None, shape: tuple[int, ...], step: int) -> NDArray[np.bool_]:
    rows, columns = shape[0] // TILE, shape[1] // TILE
    clear = np.ones((rows, columns), dtype=bool)
    seen = None if person is None else person[np.isfinite(person).all(-1)] / step
    if seen is None or not len(seen):
        return clear
    margin = 0.1 * float(np.ptp(seen, axis=0).max())
    (left, top), (right, bottom) = seen.min(0) - margin, seen.max(0) + margin
    for row in range(rows):
        for column in range(columns):
            y, x = row * TILE, column * TILE
            clear[row, column] = y + TILE < top or y > bottom or x + TILE < left or x > right
    return clear


def _background_shift(before: Array, after: Array, clear: NDArray[np.bool_]) -> float | None:
    """Median length of the shifts of those parts where it can be told [px]; None if there are fewer than three.

    Phase correlation: Kuglin and Hines 1975; the peak's centre of mass gives fractions of a pixel.
    """
    window = np.outer(np.hanning(TILE), np.hanning(TILE))
    found = []
    for row, column in np.argwhere(clear):
        cut = (slice(row * TILE, (row + 1) * TILE), slice(column * TILE, (column + 1) * TILE))
        one, two = before[cut], after[cut]
        if min(one.std(), two.std()) < 4.0:  # sky, a plain wall
            continue
        spectrum = np.conj(fft.rfft2(window * (one - one.mean()))) * fft.rfft2(window * (two - two.mean()))
        surface = fft.irfft2(spectrum / (np.abs(spectrum) + 1e-9), s=(TILE, TILE))
        y, x = np.unravel_index(int(surface.argmax()), surface.shape)
        near = np.roll(surface, (TILE // 2 - y, TILE // 2 - x), (0, 1))[
            TILE // 2 - 1 : TILE // 2 + 2, TILE // 2 - 1 : TILE // 2 + 2
        ]
        if near.max() < CLEAR:
            continue
        weight = np.maximum(near, 0.0)
        offset = np.array([(weight.sum(1) * (-1, 0, 1)).sum(), (weight.sum(0) * (-1, 0, 1)).sum()]) / weight.sum()
        shift = (np.array([y, x]) + TILE // 2) % TILE - TILE // 2 + offset
        found.append(float(np.hypot(*shift)))
    return None if len(found) < 3 else float(np.median(found))
