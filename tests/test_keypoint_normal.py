"""The bordered banded solver against the same equations written out in full."""

import numpy as np
import pytest

from motorque.fitting.keypoint_normal import FLOOR, NormalEquations

RNG = np.random.default_rng(0)
N, G = 4, 3


def dense(frames, rows):
    """Matrix and gradient of residual rows (derivative over all unknowns, residual, weight)."""
    matrix = np.array([d for d, _, _ in rows])
    residual = np.array([r for _, r, _ in rows])
    weight = np.array([w for _, _, w in rows])
    return matrix.T @ (weight[:, None] * matrix), matrix.T @ (weight * residual), float(weight @ residual**2)


def build(frames):
    system = NormalEquations(frames, N, G)
    size = frames * N + G
    rows = []

    def place(parts, shared):
        row = np.zeros(size)
        for frame, values in parts:
            row[frame * N : (frame + 1) * N] += values
        row[frames * N :] = shared
        return row

    residual, weight = RNG.normal(size=(frames, 5)), RNG.random((frames, 5))
    local, shared = RNG.normal(size=(frames, 5, N)), RNG.normal(size=(frames, 5, G))
    for part in (slice(0, frames // 2), slice(frames // 2, frames)):
        system.add(residual[part], weight[part], local[part], shared[part], part)
    system.cost += float((weight * residual**2).sum())
    for t in range(frames):
        rows += [(place([(t, local[t, k])], shared[t, k]), residual[t, k], weight[t, k]) for k in range(5)]
    residual, weight = RNG.normal(size=(frames, N)), RNG.random((frames, N))
    system.add_diagonal(residual, weight)
    for t in range(frames):
        rows += [(place([(t, np.eye(N)[k])], np.zeros(G)), residual[t, k], weight[t, k]) for k in range(N)]
    if frames > 1:
        residual, weight = RNG.normal(size=(frames - 1, 2)), RNG.random((frames - 1, 2))
        first, second = RNG.normal(size=(2, frames - 1, 2, N))
        shared = RNG.normal(size=(frames - 1, 2, G))
        system.add_step(residual, weight, first, second, shared, slice(0, frames - 1))
        for t in range(frames - 1):
            rows += [
                (place([(t, first[t, k]), (t + 1, second[t, k])], shared[t, k]), residual[t, k], weight[t, k])
                for k in range(2)
            ]
    if frames > 2:
        residual, weight = RNG.normal(size=(frames - 2, N)), RNG.random((frames - 2, N))
        steps = RNG.normal(size=(frames - 2, 3))
        system.add_acceleration(residual, weight, steps)
        for t in range(frames - 2):
            for k in range(N):
                parts = [(t + m, steps[t, m] * np.eye(N)[k]) for m in range(3)]
                rows.append((place(parts, np.zeros(G)), residual[t, k], weight[t, k]))
    residual, weight = RNG.normal(size=G), RNG.random(G)
    system.add_shared(residual, weight)
    rows += [(place([], np.eye(G)[k]), residual[k], weight[k]) for k in range(G)]
    return system, dense(frames, rows)


@pytest.mark.parametrize("frames", [1, 2, 3, 7])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_step_is_that_of_the_full_matrix(frames, damping):
    system, (matrix, gradient, cost) = build(frames)
    index = np.arange(len(matrix))
    matrix[index, index] *= 1 + damping
    matrix[index[:-G], index[:-G]] += FLOOR
    expected = -np.linalg.solve(matrix, gradient)
    local, shared = system.factored(damping).step()
    np.testing.assert_allclose(np.r_[local.ravel(), shared], expected, rtol=1e-9, atol=1e-12)
    assert system.cost == pytest.approx(cost, rel=1e-12)


@pytest.mark.parametrize("frames", [1, 2, 3, 6, 7])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_covariance_is_the_block_of_the_inverse(frames, damping):
    system, (matrix, *_) = build(frames)
    matrix = matrix + damping * np.diag(np.diag(matrix))
    matrix[range(frames * N), range(frames * N)] += FLOOR
    inverse = np.linalg.inv(matrix)
    found = system.factored(damping).covariance()
    assert len(found) == frames
    for frame, block in enumerate(found):
        at = slice(frame * N, (frame + 1) * N)
        np.testing.assert_allclose(block, inverse[at, at], rtol=1e-9)


@pytest.mark.parametrize("frames", [1, 2, 3, 6, 7])
def test_draws_have_the_covariance_of_the_matrix(frames):
    system, (matrix, *_) = build(frames)
    size = frames * N
    unit = system.factored(0.0).drawn(np.eye(size).reshape(frames, N, size)).reshape(size, size)
    own = matrix[:size, :size] + FLOOR * np.eye(size)
    np.testing.assert_allclose(unit @ unit.T, np.linalg.inv(own), rtol=1e-8, atol=1e-12)


def test_held_unknowns_stay():
    system, _ = build(5)
    _, shared = system.held().factored(0.0).step()
    np.testing.assert_array_equal(shared, 0.0)
