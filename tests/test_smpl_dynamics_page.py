"""The page on SMPL torques: its example runs, and what it says of methods and defaults is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from motorque.mechanics.physics_loss import PhysicsLoss
from motorque.signals.pose_rates import METHODS
from motorque.skeleton.smpl import SMPL_JOINTS

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "smpl_dynamics.md").read_text()


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/smpl_dynamics.md", "exec"), names)
    out, loss = names["out"], names["loss"]
    assert out.torques.shape == (60, 24, 3) and out.forces.shape == (60, 24, 3) and out.com.shape == (60, 3)
    assert set(out.contact_loads) == {"left_ankle", "right_ankle", "left_foot", "right_foot"}
    gradient = names["body_pose"].grad
    assert bool(gradient.isfinite().all()) and float(gradient.abs().max()) > 0
    terms = names["terms"]
    assert bool(loss > 0) and bool(torch.isclose(loss, terms.smoothness + terms.limit + terms.pose))
    moved = names["body_pose"].detach().unflatten(-1, (23, 3)).abs().amax((0, 2)) > 0
    assert [SMPL_JOINTS[1 + i] for i in moved.nonzero().flatten().tolist()] == re.findall(r"# (\w+) is joint", code)


def test_every_method_has_its_row() -> None:
    rates = PAGE[PAGE.index("## Rates") : PAGE.index("## The physics loss")]
    assert re.findall(r"^\| `([\w-]+)` \|", rates, re.MULTILINE) == list(METHODS)


def test_the_loss_has_the_defaults_that_the_page_names() -> None:
    loss = PhysicsLoss()
    text = PAGE[PAGE.index("## The physics loss") :]
    assert f"s_τ = {loss.roughness:.0f} N·m/s²" in text and f"τ_max = {loss.limit:.0f} N·m" in text
    assert f"s_m = {loss.excess:.0f} N·m" in text and f"s_p = {loss.pose_error:g} rad" in text
