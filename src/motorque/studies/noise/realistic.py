"""4.4: noise as a monocular estimator makes it against uniform noise of equal mean size, before and after 6 Hz."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from motorque.studies.noise import paper
from motorque.studies.noise.lowpass import NOTHING, filtered_error
from motorque.studies.noise.models import LEVELS, NoiseModel, Realistic, White, mean_size
from motorque.studies.noise.protocol import Chain, TorqueErrors, torque_errors
from motorque.studies.statistics import Interval, interval, reduction
from motorque.studies.tables import Table

Array = NDArray[np.float64]

UNIFORM = "uniform"
"""Name of the noise that the others are compared with."""


def levels_to(power: float) -> dict[str, float]:
    """The profile's levels made more (above 1) or less (0: not at all) unequal."""
    return {name: level**power for name, level in LEVELS.items()}


def steps() -> dict[str, NoiseModel]:
    """From uniform noise to the realistic profile, one property after the other, all of equal mean size."""
    depth = Realistic(levels=levels_to(0.0), flicker=1.0)
    return {
        UNIFORM: White(),
        "+ camera's axis": depth,
        "+ mild levels (1.6 : 1)": replace(depth, levels=levels_to(0.5)),
        "+ levels (2.5 : 1)": replace(depth, levels=dict(LEVELS)),
        "realistic": Realistic(),
        "realistic, sized before depth": Realistic(sized="before_depth"),
        "mild levels, sized before depth, all new": replace(depth, levels=levels_to(0.5), sized="before_depth"),
    }


def settings() -> dict[str, NoiseModel]:
    """The realistic profile with one of its numbers, none of which the paper gives, put elsewhere."""
    own = Realistic()
    found: dict[str, NoiseModel] = {"as chosen": own}
    for power in (0.0, 0.5, 1.5):
        found[f"levels {2.5**power:.2g} : 1"] = replace(own, levels=levels_to(power))
    for depth in (1.0, 3.0, 4.0):
        found[f"depth {depth:g} times"] = replace(own, depth=depth)
    found["depth across the camera's axis"] = replace(own, depth_of="across")
    found["camera in front"] = replace(own, camera="front")
    found["camera oblique"] = replace(own, camera="oblique")
    for flicker in (0.0, 0.25, 1.0):
        found[f"new in every frame: {flicker:.0%}"] = replace(own, flicker=flicker)
    for lasts in (0.03, 0.3, 1.0):
        found[f"lasts {lasts:g} s"] = replace(own, lasts=lasts)
    for place in (0.005, 0.02):
        found[f"root's place off by {1000 * place:g} mm"] = replace(own, translation=place)
    return found


@dataclass(frozen=True, eq=False)
class Compared:
    """Torque errors of several kinds of noise.

    Args:
        subject: Whose motion.
        stencil: With which differences.
        size: Mean length of a joint's noise vector [rad], by name.
        raw: Without a filter [N·m], shape [S], by name.
        filtered: After the paper's cutoff, alike.
        noise_left: The same against clean motion that is filtered alike, so that only noise is left.
    """

    subject: str
    stencil: str
    size: Mapping[str, float]
    raw: Mapping[str, TorqueErrors]
    filtered: Mapping[str, TorqueErrors]
    noise_left: Mapping[str, TorqueErrors]

    def ratio(self, name: str, base: str = UNIFORM, norm: str = "joint") -> Interval:
        """Error of one noise over that of another, draw by draw."""
        return interval(getattr(self.raw[name], norm) / getattr(self.raw[base], norm))

    def reduction(self, name: str, norm: str = "joint") -> Interval:
        """By how much the cutoff lowers the error [%]."""
        return interval(reduction(getattr(self.raw[name], norm), getattr(self.filtered[name], norm)))

    def reduction_of_noise(self, name: str, norm: str = "joint") -> Interval:
        """The same but for what the filter takes from the motion itself [%]."""
        return interval(reduction(getattr(self.raw[name], norm), getattr(self.noise_left[name], norm)))


def compared(
    chain: Chain,
    stencil: str,
    models: Mapping[str, NoiseModel],
    draws: int,
    *,
    seed: int = 0,
    cutoff: float = paper.CUTOFF,
) -> Compared:
    """Torque errors of several kinds of noise, before and after a filter."""
    size, raw, smooth, left = {}, {}, {}, {}
    lost = filtered_error(chain, NOTHING, cutoff)
    for name, model in models.items():
        noise = model.draw(chain.subject.poses, draws, seed=seed)
        size[name] = mean_size(noise.rotation)
        raw[name] = torque_errors(chain.error(noise))
        error = filtered_error(chain, noise, cutoff)
        smooth[name], left[name] = torque_errors(error), torque_errors(error - lost)
    return Compared(chain.subject.name, stencil, size, raw, smooth, left)


def comparison_table(results: list[Compared]) -> Table:
    """Figure 2 (d) as numbers, and the way from one noise to the other."""
    table = Table(
        "fig2d_realistic",
        "Uniform noise and the realistic profile at equal mean size, before and after 6 Hz",
        (
            "motion", "stencil", "noise", "mean size [rad]", "joint [N·m]", "over uniform", "after 6 Hz [N·m]",
            "reduction [%]", "against clean motion filtered alike [%]", "joint_rootless [N·m]", "body [N·m]",
        ),
        notes=(
            f"The paper: uniform {paper.UNIFORM} N·m, realistic {paper.REALISTIC} N·m "
            f"({paper.REALISTIC / paper.UNIFORM:.3f} times), both about {paper.FILTERED:.0f} N·m after 6 Hz, "
            f"{paper.FILTER_REDUCTION:.0f} % less.",
        ),
    )  # fmt: skip
    for r in results:
        for name in r.raw:
            table.add(
                r.subject, r.stencil, name, r.size[name], interval(r.raw[name].joint), r.ratio(name),
                interval(r.filtered[name].joint), r.reduction(name), r.reduction_of_noise(name),
                interval(r.raw[name].joint_rootless), interval(r.raw[name].body),
            )  # fmt: skip
    return table


def settings_table(results: list[Compared]) -> Table:
    """How the realistic profile's result depends on numbers that are not known."""
    table = Table(
        "sensitivity_profile",
        "The realistic profile with one of its numbers changed",
        ("motion", "stencil", "profile", "joint [N·m]", "over the chosen", "after 6 Hz [N·m]", "reduction [%]"),
    )
    for r in results:
        first = next(iter(r.raw))
        for name in r.raw:
            table.add(
                r.subject, r.stencil, name, interval(r.raw[name].joint), r.ratio(name, first),
                interval(r.filtered[name].joint), r.reduction(name),
            )  # fmt: skip
    return table
