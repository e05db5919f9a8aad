"""How long the steps of a job take, and what its numbers rest on."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from motorque.progress import Progress


class Clock:
    """Times the steps and tells the progress; ``seconds`` by step."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.seconds = progress, {}  # type: tuple[Progress, dict[str, float]]

    @contextmanager
    def __call__(self, what: str, fraction: float) -> Iterator[None]:
        """Time what happens inside, and say that it has begun."""
        self.progress(what, fraction)
        began = time.perf_counter()
        yield
        self.seconds[what] = round(time.perf_counter() - began, 3)


def versions(*further: str) -> dict[str, str]:
    """Versions of motorque and of what its numbers rest on; of ``further`` packages those that are installed."""
    packages = {name: version(name) for name in ("motorque", "torch", "numpy", "scipy")}
    for name in further:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {**packages, "python": platform.python_version()}
