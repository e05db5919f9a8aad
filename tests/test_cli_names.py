"""File names that are no text, on the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_names_that_are_no_text_are_printed(tmp_path: Path) -> None:
    """In a process of its own: its terminal takes UTF-8 and nothing else."""
    name = b"b\xffd.sto"
    code = (
        "import sys, types\nfake = types.ModuleType('motorque.workflows.inverse_dynamics')\n"
        "fake.id_step = lambda *a, **k: None\nsys.modules[fake.__name__] = fake\n"
        "from motorque.cli import main\nsys.exit(main(sys.argv[1:]))"
    )
    for given in ("m.osim", "ik.mot"):
        (tmp_path / given).write_text("content")
    arguments = ["id", "--model", "m.osim", "--motion", "ik.mot", "--out", name]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "b\\udcffd.sto" in done.stdout
