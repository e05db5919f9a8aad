"""Filters and splines against the `opensim` wheel and against what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorque.errors import DataError
from motorque.signals import NaturalSpline, butterworth, opensim_lowpass

RELATIVE = 1e-11
"""Largest difference from the wheel over the largest value; what double precision leaves is some 1e-13."""

TIMES = {
    "exact steps": np.arange(100) / 128.0,
    "decimal steps": np.round(np.arange(101) / 100.0, 4),
    "rounded to 0.1 ms": np.round(np.arange(90) / 60.0, 4),
    "uneven": np.cumsum(np.random.default_rng(1).uniform(0.008, 0.012, 120)),
    "shortest": np.arange(6) / 100.0,
}


def walk(times: np.ndarray) -> np.ndarray:
    """Three random walks, so that ends have neither zero value nor zero slope; shape [T, 3]."""
    return np.cumsum(np.random.default_rng(len(times)).normal(size=(len(times), 3)), axis=0)


def write_storage(path: Path, times: np.ndarray, values: np.ndarray) -> str:
    names = "\t".join(f"c{i}" for i in range(values.shape[1]))
    rows = "\n".join("\t".join(repr(float(x)) for x in (t, *v)) for t, v in zip(times, values, strict=True))
    head = f"x\nversion=1\nnRows={len(times)}\nnColumns={values.shape[1] + 1}\ninDegrees=no\nendheader\ntime\t{names}\n"
    path.write_text(head + rows + "\n")
    return str(path)


def table_of(storage) -> tuple[np.ndarray, np.ndarray]:
    rows = [storage.getStateVector(i) for i in range(storage.getSize())]
    columns = range(rows[0].getData().getSize())
    return np.array([r.getTime() for r in rows]), np.array([[r.getData().get(c) for c in columns] for r in rows])


@pytest.mark.parametrize("padded", [False, True], ids=["no pad", "padded"])
@pytest.mark.parametrize("kind", TIMES)
def test_lowpass_is_opensims(opensim, tmp_path, kind, padded):
    times = TIMES[kind]
    values = walk(times)
    pad = len(times) // 2 if padded else 0
    storage = opensim.Storage(write_storage(tmp_path / "a.sto", times, values))
    if pad:
        storage.pad(pad)
    storage.lowpassIIR(6.0)
    expected_times, expected = table_of(storage)

    found_times, found = opensim_lowpass(times, values, 6.0, pad=pad)

    assert np.array_equal(found_times, expected_times)
    assert np.abs(found - expected).max() <= RELATIVE * np.abs(expected).max()


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("kind", TIMES)
def test_spline_is_opensims(opensim, tmp_path, kind, degree):
    times = TIMES[kind]
    values = walk(times)
    storage = opensim.Storage(write_storage(tmp_path / "a.sto", times, values))
    splines = opensim.GCVSplineSet(degree, storage)
    spline = NaturalSpline(times, values, degree=degree)
    between = np.random.default_rng(2).uniform(times[0], times[-1], 40)
    at = np.concatenate((times, between, [times[0] - 0.03, times[-1] + 0.05]))
    for derivative in range(3):
        expected = np.array([[splines.evaluate(c, derivative, float(t)) for c in range(3)] for t in at])
        assert np.abs(spline(at, derivative) - expected).max() <= RELATIVE * np.abs(expected).max(), derivative


def test_spline_of_a_parabola_is_the_parabola():
    times = np.sort(np.random.default_rng(0).uniform(0, 2, 30))
    spline = NaturalSpline(times, 3 * times**2 - times + 2)
    at = np.linspace(-1, 3, 50)
    for derivative, expected in enumerate((3 * at**2 - at + 2, 6 * at - 1, np.full(50, 6.0))):
        assert np.abs(spline(at, derivative) - expected).max() < 1e-9


@settings(deadline=None, max_examples=25)
@given(st.floats(0.02, 0.4), st.sampled_from([2, 4, 6]))
def test_butterworth_is_3_db_down_at_the_cutoff(fraction, order):
    """A sinusoid at the cutoff comes out at 1/√2 and in phase, however close to half the sampling rate."""
    rate = 100.0
    cutoff = fraction * rate
    times = np.arange(4000) / rate
    wave = np.sin(2 * np.pi * cutoff * times)
    inner = slice(1500, 2500)
    out = butterworth(wave, rate, cutoff, order=order)[inner]
    basis = np.stack([wave[inner], np.cos(2 * np.pi * cutoff * times[inner])], axis=1)
    in_phase, quadrature = np.linalg.lstsq(basis, out, rcond=None)[0]
    assert abs(in_phase - np.sqrt(0.5)) < 1e-6
    assert abs(quadrature) < 1e-6


def test_butterworth_keeps_lines_and_ends():
    line = np.linspace(-1, 4, 500)[:, None] * [1.0, -3.0]
    assert np.abs(butterworth(line, 2000.0, 6.0) - line).max() < 1e-3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: butterworth(np.zeros(100), 100.0, 50.0), "below 50 Hz"),
        (lambda: butterworth(np.zeros(100), 100.0, -1.0), "positive"),
        (lambda: butterworth(np.zeros(3), 100.0, 6.0), "too few"),
        (lambda: butterworth(np.full(100, np.nan), 100.0, 6.0), "frame 0 is not a number"),
        (lambda: opensim_lowpass(np.arange(50) / 100, np.zeros((50, 1)), 60.0), "below 50 Hz"),
        (lambda: opensim_lowpass(np.arange(4) / 100, np.zeros((4, 1)), 6.0), "too few"),
        (lambda: NaturalSpline(np.arange(5.0), np.zeros(5)), "needs 6"),
        (lambda: NaturalSpline(np.zeros(9), np.zeros(9)), "does not increase"),
    ],
)
def test_wrong_input_is_explained(call, words):
    with pytest.raises(DataError, match=words):
        call()
