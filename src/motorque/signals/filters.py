"""Low-pass filters without delay: OpenSim's own, and the one that `analyze` uses for motion and loads alike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfiltfilt

from motorque.errors import DataError
from motorque.signals.splines import NaturalSpline

Array = NDArray[np.float64]

# Most samples that OpenSim's Storage::resample makes of a recording.
_MAX_RESAMPLED = 100_000


def opensim_lowpass(
    times: Array, values: Array, cutoff: float, *, pad: int | None = None, what: str = "motion"
) -> tuple[Array, Array]:
    """Filter columns exactly as OpenSim's inverse dynamics tool filters coordinates.

    The samples are padded at both ends by their point reflection; if the time steps are not all equal to the last bit,
    a quintic natural spline resamples them at the smallest step; a third-order Butterworth filter runs over them
    forward and backward (-6 dB at the cutoff: it is not corrected for the double pass). The first three samples of
    each pass are left as they are.

    Args:
        times: Sample times [s], shape [T].
        values: Samples, shape [T, C].
        cutoff: Cutoff frequency [Hz]; OpenSim lowers one at or above half the sampling rate to 0.49 of that rate,
            here it is an error.
        pad: Samples to add at each end; half of the frames as the tool does it if None, 0 for
            ``Storage::lowpassIIR`` alone.
        what: What is filtered, for messages.

    Returns:
        The times of the filter's own grid, padding included [s], shape [K], and the filtered samples, shape [K, C].

    Raises:
        DataError: A cutoff that is not between 0 and half the sampling rate, fewer than six frames, a sample that is
            no number.

    Source: opensim-core, ``Storage::pad``, ``Storage::lowpassIIR``, ``Storage::resample``, ``Signal::LowpassIIR`` (what
    they compute; checked against the wheel, ends included).
    """
    times, values = np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64)
    _check(times, values, what, least=6)
    pad = len(times) // 2 if pad is None else pad
    if pad:
        times, values = _reflect(times, pad), _reflect(values, pad)
    step = float(np.diff(times).min())
    if (times[-1] - times[0]) / (len(times) - 1) - step > np.finfo(np.float64).eps:
        spline = NaturalSpline(times, values, what=what)
        step = max(step, (times[-1] - times[0]) / _MAX_RESAMPLED)
        end = times[-1]
        # OpenSim adds the step again and again; rounding decides whether the last sample is reached.
        grid = np.add.accumulate(np.concatenate(([times[0]], np.full(round((end - times[0]) / step) + 1, step))))
        times = grid[grid <= end]
        values = spline(times)
    _check_cutoff(cutoff, 1.0 / step, what)
    warped = math.tan(math.pi * cutoff * step)
    a, b = _third_order(warped)
    forward = _one_pass(a, b, values)
    return times, _one_pass(a, b, forward[::-1])[::-1]


def _reflect(values: Array, pad: int) -> Array:
    """Values with their point reflection about the first and the last one added, ``pad`` frames at each end."""
    before = 2.0 * values[0] - values[pad:0:-1]
    after = 2.0 * values[-1] - values[-2 : -pad - 2 : -1]
    return np.concatenate((before, values, after))


def _third_order(warped: float) -> tuple[Array, Array]:
    """Coefficients of the third-order Butterworth low-pass with the bilinear transform: of the input, of the output."""
    w, w2, w3 = warped, warped**2, warped**3
    scale = (w + 1) * (w2 + w + 1)
    a = np.array([w3, 3 * w3, 3 * w3, w3]) / scale
    b = np.array([scale, 3 * w3 + 2 * w2 - 2 * w - 3, 3 * w3 - 2 * w2 - 2 * w + 3, (w - 1) * (w2 - w + 1)]) / scale
    return a, b


def _one_pass(a: Array, b: Array, values: Array) -> Array:
    """The filter run forward once, its first three outputs set to the inputs."""
    out = np.array(values, dtype=np.float64)
    # State of the transposed direct form after three samples that passed unchanged.
    state = np.stack([
        sum((a[k] * values[3 - (k - j)] - b[k] * values[3 - (k - j)] for k in range(j + 1, 4)),
        np.zeros(values.shape[1:])) for j in range(3)
    ])  # fmt: skip
    out[3:], _ = lfilter(a, b, values[3:], axis=0, zi=state)
    return out


def butterworth(values: Array, rate: float, cutoff: float, *, order: int = 4, what: str = "signal") -> Array:
    """Low-pass filter without delay: a Butterworth filter run forward and backward.

    Args:
        values: Samples at a constant rate, shape [T, ...].
        rate: Sampling rate [Hz].
        cutoff: Frequency at which the amplitude of the result has dropped to 1/√2 (-3 dB) [Hz].
        order: Order after both passes, even.
        what: What is filtered, for messages.

    Returns:
        Filtered samples, shape [T, ...].

    Raises:
        DataError: A cutoff that is not between 0 and half the sampling rate, too few frames, a sample that is no
            number.

    Source: Winter, Biomechanics and Motor Control of Human Movement, 4th ed., section 2.2.4.4: two passes need the
    cutoff divided by (2^(1/2) - 1)^(1/(2 n)), n the order of one pass (0.802 for n = 2); applied to the warped
    frequency as in Robertson and Dowling, J Electromyogr Kinesiol 13 (2003) 569-573, so that it holds up to half the
    sampling rate.
    """
    values = np.asarray(values, dtype=np.float64)
    _check(None, values, what, least=order + 2)
    sections, pad = zero_phase_sections(len(values), rate, cutoff, order=order, what=what)
    filtered: Array = sosfiltfilt(sections, values, axis=0, padtype="odd", padlen=pad)
    return filtered


def zero_phase_sections(
    frames: int, rate: float, cutoff: float, *, order: int = 4, what: str = "signal"
) -> tuple[Array, int]:
    """What :func:`butterworth` runs forward and backward.

    Args:
        frames: How many samples there are.
        rate: Sampling rate [Hz].
        cutoff: As of :func:`butterworth` [Hz].
        order: Order after both passes, even.
        what: What is filtered, for messages.

    Returns:
        Second-order sections of one pass, and how many samples are added at each end by point reflection.

    Raises:
        DataError: A cutoff that is not between 0 and half the sampling rate.
    """
    if order < 2 or order % 2:
        raise ValueError(f"order counts both passes and must be even, got {order}")
    _check_cutoff(cutoff, rate, what)
    single = order // 2
    correction = (math.sqrt(2.0) - 1.0) ** (1.0 / (2 * single))
    corrected = rate / math.pi * math.atan(math.tan(math.pi * cutoff / rate) / correction)
    sections: Array = butter(single, corrected, fs=rate, output="sos")
    # A point reflection one and a half periods of the cutoff long: the transient at its far end has died out by then.
    return sections, min(frames - 1, math.ceil(1.5 * rate / cutoff))


def _check(times: Array | None, values: Array, what: str, *, least: int) -> None:
    if len(values) < least:
        raise DataError(
            f"{what}: {len(values)} frames are too few to filter, at least {least} are needed; leave the cutoff out"
        )
    if not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0][0])
        at = "" if times is None else f" ({times[frame]:g} s)"
        raise DataError(
            f"{what}: a value in frame {frame}{at} is not a number and can't be filtered; fill the gap first"
        )


def _check_cutoff(cutoff: float, rate: float, what: str) -> None:
    if not (math.isfinite(cutoff) and cutoff > 0):
        raise DataError(f"{what}: the cutoff must be a positive frequency, got {cutoff:g} Hz")
    if cutoff >= rate / 2:
        raise DataError(
            f"{what}: a cutoff of {cutoff:g} Hz is not below half the sampling rate of {rate:g} Hz; choose one below "
            f"{rate / 2:g} Hz"
        )
