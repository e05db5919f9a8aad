"""A small laboratory on disk: a recording, a standing trial, a model, a motion and loads, all made here."""

from __future__ import annotations

import shlex
from pathlib import Path

import ezc3d
import numpy as np

from motorque.cli import main
from motorque.files.external_loads import write_loads
from motorque.files.motion_files import write_motion
from motorque.files.osim_write import write_osim
from motorque.files.trc import write_trc
from motorque.series import Load, Loads, Markers
from motorque.workflows.demo_recording import demo_recording, demo_static

TO_LABORATORY = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
"""Rotation from ground (Y up) to a laboratory with Z up."""

_FORCE = """<ExternalForce name="{side}">
 <applied_to_body>calcn_{side}</applied_to_body>
 <force_expressed_in_body>ground</force_expressed_in_body>
 <point_expressed_in_body>ground</point_expressed_in_body>
 <force_identifier>ground_force_{side}_v</force_identifier>
 <point_identifier>ground_force_{side}_p</point_identifier>
 <torque_identifier>ground_torque_{side}_</torque_identifier>
</ExternalForce>"""


def write_lab(folder: Path, *, duration: float = 0.5) -> None:
    """Write ``walk.trc``, ``walk.c3d``, ``static.trc``, ``model.osim``, ``ik.mot``, ``grf.mot`` and three ``.xml``."""
    walk, truth = demo_recording(duration=duration, gaps=0)
    write_trc(folder / "walk.trc", walk)
    write_c3d(folder / "walk.c3d", walk)
    write_trc(folder / "static.trc", demo_static(duration=0.2)[0])
    write_osim(folder / "model.osim", truth.skeleton)
    write_motion(folder / "ik.mot", truth.motion, truth.skeleton)
    half = np.tile([0.0, 0.5 * 9.81 * truth.mass, 0.0], (len(walk.times), 1))
    heel = {side: walk.positions[:, walk.names.index(f"{side.upper()}HEE")] * [1, 0, 1] for side in "rl"}
    loads = tuple(Load(side, f"calcn_{side}", half, heel[side], 0 * half) for side in "rl")
    write_loads(folder / "grf.mot", Loads(walk.times, loads))
    forces = "".join(_FORCE.format(side=side) for side in "rl")
    setup = '<?xml version="1.0"?>\n<OpenSimDocument Version="40000">{}</OpenSimDocument>\n'
    (folder / "loads.xml").write_text(
        setup.format(f"<ExternalLoads><objects>{forces}</objects><datafile>grf.mot</datafile></ExternalLoads>")
    )
    task = '<IKMarkerTask name="{}"><apply>true</apply><weight>2</weight></IKMarkerTask>'
    tasks = "".join(task.format(name) for name in walk.names)
    (folder / "tasks.xml").write_text(setup.format(f"<IKTaskSet><objects>{tasks}</objects></IKTaskSet>"))
    scaler = (
        "<GenericModelMaker/><ModelScaler><apply>true</apply><scaling_order>manualScale</scaling_order>"
        '<ScaleSet><objects><Scale name=""><scales>1.1 1.1 1.1</scales><segment>tibia_r</segment><apply>true</apply>'
        "</Scale></objects></ScaleSet></ModelScaler>"
    )
    (folder / "scale.xml").write_text(setup.format(f"<ScaleTool><mass>60</mass>{scaler}</ScaleTool>"))


def write_c3d(path: Path, markers: Markers, *, screens: tuple[str, str] | None = ("+X", "+Z")) -> None:
    """Write markers in ground as a C3D file of a laboratory with Z up, which says so by its screens or not."""
    file = ezc3d.c3d()
    file["parameters"]["POINT"]["RATE"]["value"] = [markers.rate]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(markers.names)
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    if screens is not None:
        for name, axis in zip(("X_SCREEN", "Y_SCREEN"), screens, strict=True):
            file.add_parameter("POINT", name, [axis])
    points = markers.positions @ TO_LABORATORY.T * 1000
    file["data"]["points"] = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1).transpose(2, 1, 0)
    file["data"]["analogs"] = np.zeros((1, 0, len(points)))
    file.write(str(path))


def run(line: str) -> int:
    """The command line in this process; its exit code."""
    try:
        return main(shlex.split(line))
    except SystemExit as leave:  # argparse leaves this way
        assert isinstance(leave.code, int)
        return leave.code
