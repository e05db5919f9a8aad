"""One stretch of time by one method: from a state at its start to the state at its end."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from motorque.mechanics.charts import Layout

Accelerations = Callable[[float, Tensor, Tensor], Tensor]
"""Accelerations at a time [s], positions and speeds; all without columns for coupled coordinates."""
FASTEST = 1e5
"""Speed [rad/s or m/s] at which an integration counts as diverged: a thousand times what any living body reaches."""
METHODS = ("semi-implicit-euler", "rk4", "dopri5")


class TooFast(ArithmeticError):
    """Speeds grew beyond all bounds, or an acceleration is no number."""


@dataclass
class Integrator:
    """A method and its settings.

    Args:
        layout: Columns of positions and speeds.
        accelerations: What moves the body.
        method: One of `METHODS`.
        rtol: Error of a step relative to the state, for ``dopri5``.
        atol: Error of a step [rad, m, rad/s or m/s], for ``dopri5``.
        step: Length of a step [s], for the others.
        evaluations: How often accelerations were asked for.
        latest: Time for which they were asked for last [s].
        fastest: Speeds at which it failed, if it did; or accelerations, infinite where they were no numbers.
    """

    layout: Layout
    accelerations: Accelerations
    method: str
    rtol: float
    atol: float
    step: float
    evaluations: int = 0
    latest: float = 0.0
    fastest: Tensor | None = None
    _last_step: float | None = None

    def advance(self, start: float, end: float, q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and speeds at the end of a stretch through which one chart serves.

        Raises:
            TooFast: Speeds grow beyond all bounds; of an adaptive method perhaps only in a step that was a trial.
            ArithmeticError: No step is small enough.
        """
        if self.method == "semi-implicit-euler":
            return self._euler(start, end, q, v)
        from torchdiffeq import odeint

        chart, width = self.layout, v.shape[-1]

        def derivative(time: Tensor, state: Tensor) -> Tensor:
            self.evaluations, self.latest = self.evaluations + 1, float(time.detach())
            x, speeds = state[..., :width], state[..., width:]
            self._watch(speeds)
            acceleration = self._finite(self.accelerations(self.latest, chart.moved(q, x), speeds))
            return torch.cat([chart.rates(x, speeds), acceleration], dim=-1)

        times = torch.tensor([start, end], dtype=torch.float64, device=q.device).to(q.dtype)
        state, before = torch.cat([chart.origin(q), v], dim=-1), self.evaluations
        options: dict[str, object] = {}
        if self.method == "rk4":
            options = {"step_size": (end - start) / max(1, math.ceil((end - start) / self.step - 1e-9))}
        else:
            # The largest error of any motion of a batch counts, not that of all together. No step goes past the end.
            # Steps are as long as they are: derivatives of their length would lack the part that controls in time add.
            options = {"norm": lambda x: x.detach().square().mean(-1).sqrt().max(), "step_t": times[1:]}
            if self._last_step is not None:
                options["first_step"] = torch.tensor(min(self._last_step, end - start), dtype=q.dtype)
        try:
            found = odeint(
                derivative, state, times, rtol=self.rtol, atol=self.atol, method=self.method, options=options
            )[-1]
        except AssertionError as error:  # torchdiffeq's way of saying that its steps shrink to nothing
            self.fastest = v.detach()
            raise ArithmeticError("steps shrink to nothing") from error
        if self.method == "dopri5":
            self._last_step = (end - start) * 6 / max(6, self.evaluations - before - 2)
        return chart.upright(chart.moved(q, found[..., :width])), found[..., width:]

    def _watch(self, v: Tensor) -> None:
        if not bool(v.detach().abs().amax() < FASTEST):  # also where it is no number
            self.fastest = v.detach()
            raise TooFast("speeds grow beyond all bounds")

    def _finite(self, acceleration: Tensor) -> Tensor:
        if not bool(torch.isfinite(acceleration.detach().sum())) and not bool(torch.isfinite(acceleration).all()):
            self.fastest = (
                acceleration.detach()
                .abs()
                .nan_to_num(float("inf"))
                .where(~torch.isfinite(acceleration.detach()), torch.zeros_like(acceleration))
            )
            raise TooFast("its acceleration is no number")
        return acceleration

    def _euler(self, start: float, end: float, q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Speeds first, then positions by the new speeds: symplectic, and as stable as a method of its price can be."""
        count = max(1, math.ceil((end - start) / self.step - 1e-9))
        length = (end - start) / count
        for number in range(count):
            self.evaluations, self.latest = self.evaluations + 1, start + number * length
            self._watch(v)
            v = v + length * self._finite(self.accelerations(self.latest, q, v))
            # Around the position itself the rates of rotation vectors are the speeds, which they follow exactly.
            q = self.layout.stepped(q, length * v)
        return self.layout.upright(q), v
