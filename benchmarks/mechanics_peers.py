"""The peers of `mechanics.py`: the same bodies and motions as Pinocchio, MuJoCo and OpenSim have them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import opensim
import pinocchio
import roma
import torch
from torch import Tensor

from motorque.files.osim import read_osim
from motorque.skeleton.skeleton import Skeleton

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from oracle_models import MujocoModel, PinocchioModel


def motion_of_ball_tree(skeleton: Skeleton, frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random rotations, speeds and accelerations; the root is near the origin."""
    q = torch.randn(frames, skeleton.nq, dtype=torch.float64)
    for columns in skeleton.position_columns[1]:
        q[:, list(columns)] = roma.random_unitquat(frames, dtype=torch.float64)
    v, a = (torch.randn(frames, skeleton.nv, dtype=torch.float64) * scale for scale in (1.0, 3.0))
    return q, v, a


class Pinocchio:
    """Pinocchio, one frame after the other from Python, or in parallel where it offers that."""

    def __init__(self, skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor) -> None:
        self._oracle = PinocchioModel(skeleton)
        self._model, self._data = self._oracle.model, self._oracle.data
        self._q = q
        state = self._oracle.positions(q), self._oracle.speeds(q, v), self._oracle.accelerations(q, v, a)
        self._state = [np.ascontiguousarray(x.numpy()) for x in state]
        self._columns = [np.asfortranarray(x.T) for x in self._state]
        self._tau = np.asfortranarray(np.empty_like(self._columns[2]))
        self._pools: dict[int, object] = {}
        self.rnea_in_parallel(1)
        self._efforts = np.ascontiguousarray(self._tau.T)

    def _loop(self, function: Callable[..., object], frames: int, arrays: list[np.ndarray]) -> np.ndarray:
        model, data, out = self._model, self._data, np.empty((frames, self._model.nv))
        for i, row in enumerate(zip(*(x[:frames] for x in arrays), strict=True)):
            out[i] = function(model, data, *row)
        return out

    def rnea(self, frames: int) -> np.ndarray:
        return self._loop(pinocchio.rnea, frames, self._state)

    def aba(self, frames: int) -> np.ndarray:
        return self._loop(pinocchio.aba, frames, [*self._state[:2], self._efforts])

    def crba(self, frames: int) -> None:
        for q in self._state[0][:frames]:
            pinocchio.crba(self._model, self._data, q)

    def derivatives(self, frames: int) -> None:
        for q, v, a in zip(*(x[:frames] for x in self._state), strict=True):
            pinocchio.computeRNEADerivatives(self._model, self._data, q, v, a)

    def _pool(self, threads: int) -> object:
        if threads not in self._pools:
            self._pools[threads] = pinocchio.ModelPool(self._model, threads)
        return self._pools[threads]

    def rnea_in_parallel(self, threads: int) -> None:
        pinocchio.rneaInParallel(threads, self._pool(threads), *self._columns, self._tau)

    def aba_in_parallel(self, threads: int) -> None:
        efforts = np.asfortranarray(self._efforts.T)
        pinocchio.abaInParallel(threads, self._pool(threads), *self._columns[:2], efforts, self._tau)

    def forces(self, found: np.ndarray) -> Tensor:
        """In motorque's coordinates."""
        return self._oracle.pull_back(self._q[: len(found)], torch.as_tensor(found))

    @property
    def given_accelerations(self) -> Tensor:
        """The accelerations of the motion in Pinocchio's coordinates, which its forward dynamics must find again."""
        return torch.as_tensor(self._state[2])


class MuJoCo:
    """MuJoCo, one frame after the other from Python."""

    def __init__(self, skeleton: Skeleton, q: Tensor, v: Tensor, a: Tensor) -> None:
        self._oracle = MujocoModel(skeleton)
        self._model, self._data = self._oracle.model, self._oracle.data
        self._q = q
        state = self._oracle.positions(q), self._oracle.speeds(q, v), self._oracle.accelerations(q, v, a)
        self._state = [np.ascontiguousarray(x.numpy()) for x in state]

    def inverse(self, frames: int) -> np.ndarray:
        data, out = self._data, np.empty((frames, self._model.nv))
        for i, (q, v, a) in enumerate(zip(*(x[:frames] for x in self._state), strict=True)):
            data.qpos[:], data.qvel[:], data.qacc[:] = q, v, a
            mujoco.mj_inverse(self._model, data)
            out[i] = data.qfrc_inverse
        return out

    def forward(self, frames: int) -> np.ndarray:
        data, out = self._data, np.empty((frames, self._model.nv))
        for i, (q, v) in enumerate(zip(*(x[:frames] for x in self._state[:2]), strict=True)):
            data.qpos[:], data.qvel[:] = q, v
            mujoco.mj_forward(self._model, data)
            out[i] = data.qacc
        return out

    def forces(self, found: np.ndarray) -> Tensor:
        """In motorque's coordinates."""
        return self._oracle.pull_back(self._q[: len(found)], torch.as_tensor(found))


class OpenSim:
    """OpenSim's InverseDynamicsSolver on a model file, with given accelerations."""

    def __init__(self, path: Path) -> None:
        opensim.Logger.setLevelString("Off")
        self.skeleton = read_osim(path).skeleton
        self._model = opensim.Model(str(path))
        self._model.updForceSet().clearAndDestroy()
        self._state = self._model.initSystem()
        self._solver = opensim.InverseDynamicsSolver(self._model)
        coordinates = self._model.getCoordinateSet()
        self._slots = []
        for name in self.skeleton.coordinate_names:
            for other in self.skeleton.coordinate_names:
                coordinates.get(other).setSpeedValue(self._state, float(other == name))
            self._slots.append(int(np.argmax(np.abs(self._state.getU().to_numpy()))))

    def motion(self, frames: int) -> tuple[Tensor, Tensor, Tensor]:
        """Poses around the default one, coupled coordinates following, with random speeds and accelerations."""
        s = self.skeleton
        q = s.default_pose + 0.2 * torch.randn(frames, s.nq, dtype=torch.float64)
        v, a = (torch.randn(frames, s.nv, dtype=torch.float64) * scale for scale in (1.0, 3.0))
        q, v, a = s.couple_derivatives(q, v, a)
        self._rows = []
        for arrays in zip(*(x.numpy()[:1000] for x in (q, v, a)), strict=True):
            placed = np.zeros((3, s.nv))
            placed[:, self._slots] = arrays
            self._rows.append([opensim.Vector.createFromMat(row) for row in placed])
        return q, v, a

    def solve(self, frames: int) -> Tensor:
        """Generalized forces of the first frames."""
        results = []
        for q, v, a in self._rows[:frames]:
            self._state.setQ(q)
            self._state.setU(v)
            results.append(self._solver.solve(self._state, a).to_numpy())
        return torch.as_tensor(np.array(results)[:, self._slots])
