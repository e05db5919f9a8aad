"""`motorque analyze` of ten seconds of markers, as a user starts it: a new process on one core, report included.

The recording is the built-in walk, ten seconds at 100 Hz. The first run warms the disk and is not counted::

    python benchmarks/analyze.py [--runs 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from motorque.files.trc import write_trc
from motorque.workflows.demo_recording import demo_recording


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pin = ["taskset", "-c", "0"] if sys.platform == "linux" else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        walk = folder / "walk.trc"
        write_trc(walk, demo_recording(duration=10.0)[0])
        arguments = ["analyze", str(walk), "--mass", "75", "--out", str(folder / "out")]
        command = [*pin, sys.executable, "-m", "motorque", *arguments]
        seconds = []
        for run in range(options.runs + 1):
            began = time.perf_counter()
            subprocess.run(command, check=True, env=environment, capture_output=True)
            if run:
                seconds.append(time.perf_counter() - began)
        steps = json.loads((folder / "out/summary.json").read_text())
    span = f"{min(seconds):.2f} to {max(seconds):.2f}"
    print(f"analyze, one core, {options.runs} runs: {statistics.median(seconds):.2f} s ({span})")
    print("  steps [s]:", steps.get("timings_s"))
    print("  recording:", steps.get("recording"))
    if options.json:
        options.json.write_text(
            json.dumps(
                {"seconds": seconds, "median": statistics.median(seconds), "steps": steps.get("timings_s")}, indent=1
            )
        )


if __name__ == "__main__":
    main()
