"""Error bars behind a motion that comes with standard deviations of its own, as a fit to video gives them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.fitting.ground_loads import GroundEstimate
from motorque.fitting.keypoint_posterior import Posterior
from motorque.series import Loads, Motion
from motorque.skeleton.skeleton import Skeleton
from motorque.uncertainty.assembly import chain_of, with_loads
from motorque.uncertainty.bands import Bands, Method, bands_of_chain
from motorque.uncertainty.evidence import LoadEvidence
from motorque.uncertainty.propagate import CoordinateNoise
from motorque.uncertainty.temporal import Process
from motorque.uncertainty.video_bands import bands_of_fit

Array = NDArray[np.float64]

LASTING = 0.5
"""Time over which a fit's errors stay alike [s]. A fit to video errs by what it takes for granted (depth, lengths,
where a keypoint sits on a body), which changes with the pose, as slowly as a step; by the frame it errs little."""


def bands_of_motion(
    skeleton: Skeleton,
    *,
    motion: Motion,
    rate: Array,
    acceleration: Array,
    loads: Loads,
    estimated: bool,
    cutoff: float | None = None,
    posterior: Posterior | None = None,
    ground: GroundEstimate | None = None,
    mass_known: bool = True,
    height_known: bool = True,
    lasting: float = LASTING,
    method: Method = "monte carlo",
    draws: int = 500,
    seed: int = 0,
) -> Bands:
    """Error bars of torques and estimated loads from those of the coordinates.

    Args:
        skeleton: The person's skeleton.
        motion: The smoothed motion with its standard deviations, which are taken as they are.
        rate: Its first time derivative, shape [T, nq].
        acceleration: Its second one, shape [T, nq].
        loads: Loads on bodies at the motion's times.
        estimated: Whether they were estimated from the motion, and so follow it.
        cutoff: Low-pass cutoff that the motion went through [Hz], or None.
        posterior: What a fit to video left open, joints together; with ``ground`` all of it is drawn from, as
            :func:`bands_of_fit` does, and the arguments below but ``seed`` are not looked at. Without, the standard
            deviations of different joints are taken as independent, which makes far too much of them.
        ground: The estimate that the loads come from.
        mass_known: Whether the body mass was given; looked at with a posterior only, as the next.
        height_known: Whether the person's height was given.
        lasting: Time over which errors stay alike [s].
        method: ``monte carlo`` through the chain, or ``linear`` propagation.
        draws: Draws of the former.
        seed: Their seed.

    Raises:
        DataError: The motion has no standard deviations, or arrays do not belong together.
    """
    if motion.std is None:
        raise DataError("bands: the motion has no standard deviations; give bands_of_analysis the markers instead")
    if posterior is not None and ground is not None:
        return bands_of_fit(
            skeleton,
            motion=motion,
            rate=rate,
            acceleration=acceleration,
            ground=ground,
            posterior=posterior,
            cutoff=cutoff,
            mass_known=mass_known,
            height_known=height_known,
            seed=seed,
        )
    free = [c for c in skeleton.free_coordinates if not skeleton.coordinates[c].locked]
    kept = [n for n, c in enumerate(skeleton.free_coordinates) if c in free]
    coupling = skeleton.coupling_matrix(torch.as_tensor(motion.values))[..., kept].numpy()
    smoothed = np.stack([motion.values, rate, acceleration])
    chain = chain_of(skeleton, coupling, smoothed, loads, motion.rate, cutoff)
    chain, gain = with_loads(chain, LoadEvidence(), loads, estimated=estimated)
    # Three filters in a row forget a third of a common time constant each.
    process = Process(0.0, math.exp(-3 / (lasting * motion.rate)), 3)
    variance = np.nan_to_num(motion.std[:, free]) ** 2
    noise = CoordinateNoise("pose", variance[:, :, None] * np.eye(len(free)), process)
    chain = dataclasses.replace(chain, noise=(noise,))
    bands = bands_of_chain(chain, gain, motion, loads, ("pose",), method=method, draws=draws, seed=seed)
    excluded = {
        "correlation between joints": "errors of different joints are taken as independent",
        "segment masses": "not in the band",
        "joint centres": "not in the band, but for the lengths that the fit itself left open",
    }
    if estimated:
        excluded["sharing between the feet"] = "how the feet share the ground force is left as it was found"
    size = f"as the fit has it, {1e3 * float(np.sqrt(variance.mean())):.2g} mrad or mm per coordinate"
    included = {"pose": f"{size}, lasting {lasting:g} s"}
    # The fit's own standard deviations are those of its result: no filter makes them smaller.
    return dataclasses.replace(bands, angles=motion.std, included=included, excluded=excluded)
