"""The report in a real browser: no complaint in its console, every plot drawn, the 3D canvas not blank."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

from motorque.report import write_report
from report_case import busy_case, still_case

pytestmark = pytest.mark.slow

# Appended to the page: waits until all is drawn, tries the controls, and leaves what it saw in the document.
PROBE = """<script>
(() => {
  const errors = [];
  addEventListener("error", (e) => errors.push(String(e.message)));
  addEventListener("unhandledrejection", (e) => errors.push(String(e.reason)));
  addEventListener("securitypolicyviolation", (e) => errors.push(`${e.violatedDirective}: ${e.blockedURI}`));
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const picture = () => {
    const c = document.querySelector(".viewer canvas"), colours = new Set();
    copy.canvas.width = c.width; copy.canvas.height = c.height; copy.drawImage(c, 0, 0);
    const p = copy.getImageData(0, 0, c.width, c.height).data;
    let sum = 0;
    for (let i = 0; i < p.length; i += 4) {
      colours.add((p[i] << 16) | (p[i + 1] << 8) | p[i + 2]);
      sum = (sum * 31 + p[i] + p[i + 1]) | 0;
    }
    return { width: c.width, colours: colours.size, sum };
  };
  const lines = (chart) => chart.querySelectorAll(".scatterlayer path.js-line").length;
  const drawn = () => [...document.querySelectorAll(".chart")].map(lines);
  const later = (ms) => new Promise((done) => setTimeout(done, ms));
  (async () => {
    while (document.documentElement.dataset.ready !== "yes") await later(50);
    const seen = { start: picture(), plots: drawn(), xs: document.querySelectorAll(".chart .cursor").length };
    const slider = document.querySelector(".viewer input[type=range]");
    slider.value = slider.max; slider.dispatchEvent(new Event("input")); await later(300);
    seen.end = picture(); seen.time = document.querySelector(".viewer .time").textContent;
    document.querySelector("[data-view=top]").click(); await later(300);
    seen.top = picture();
    for (const b of document.querySelectorAll(".choice button[aria-pressed=false]")) b.click();
    await later(1500);
    seen.switched = drawn();
    seen.wide = document.documentElement.scrollWidth - innerWidth;
    seen.errors = errors;
    const out = document.createElement("pre");
    out.id = "probe"; out.textContent = JSON.stringify(seen); document.body.append(out);
  })();
})();
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return found


def run(browser: str, folder: Path, page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=30000", *options,
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def console(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if "CONSOLE" in line]


def probe(browser: str, folder: Path, width: int, height: int) -> dict:
    page = folder / "probed.html"
    page.write_text((folder / "report.html").read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"))
    result = run(browser, folder, page, "--dump-dom", f"--window-size={width},{height}")
    assert console(result) == []
    found = re.search(r'<pre id="probe">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, f"the page never became ready: {result.stderr[-2000:]}"
    return json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


@pytest.mark.parametrize(("width", "height"), [(1360, 900), (500, 800)])
def test_a_walk_in_the_browser(browser: str, tmp_path: Path, width: int, height: int) -> None:
    write_report(busy_case(5.0), tmp_path)
    seen = probe(browser, tmp_path, width, height)
    assert seen["errors"] == []
    assert seen["plots"] and min(seen["plots"]) >= 1, "a plot shows no line"
    assert min(seen["switched"]) >= 1, "a plot lost its lines when it was switched"
    # A blank canvas has one colour, an empty ground some dozens of pale ones.
    assert min(seen[k]["colours"] for k in ("start", "end", "top")) > 500
    assert len({seen[k]["sum"] for k in ("start", "end", "top")}) == 3, "scrubbing or turning changed nothing"
    assert seen["time"] == "5.00 / 5.00 s"
    assert seen["wide"] <= 0, "the page is wider than the screen"


def test_a_recording_without_gait_in_the_browser(browser: str, tmp_path: Path) -> None:
    write_report(still_case(np.arange(100) / 50.0), tmp_path)
    seen = probe(browser, tmp_path, 1200, 800)
    assert seen["errors"] == [] and min(seen["plots"]) >= 1
    assert seen["start"]["colours"] > 500


def test_the_screenshot_shows_the_skeleton(browser: str, tmp_path: Path) -> None:
    write_report(busy_case(3.0), tmp_path)
    shot = tmp_path / "shot.png"
    result = run(browser, tmp_path, tmp_path / "report.html", f"--screenshot={shot}", "--window-size=1360,900")
    assert console(result) == []
    picture = pixels(shot.read_bytes())
    assert picture.shape[:2] == (900, 1360)
    stage = picture[330:840, 90:800].reshape(-1, 3).astype(int)  # where the 3D view lies
    right = (stage[:, 2] - stage[:, 0] > 40).mean()  # bluish: bones of the right side
    left = (stage[:, 0] - stage[:, 2] > 40).mean()  # orange: bones of the left side
    assert right > 0.003 and left > 0.003


def pixels(png: bytes) -> np.ndarray:
    """An 8-bit RGB or RGBA picture, shape [height, width, 3] (PNG specification, sections 9 and 11)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, width, height, channels = 8, b"", 0, 0, 3
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6)
            channels = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            data += body
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, 1 + width * channels)
    out = np.zeros((height, width * channels), np.uint8)
    before = np.zeros(width * channels, np.uint8)
    for row in range(height):
        out[row] = before = unfiltered(lines[row, 0], lines[row, 1:], before, channels)
    return out.reshape(height, width, channels)[..., :3]


def unfiltered(kind: int, line: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    if kind == 0:
        return line
    if kind == 2:
        return line + above
    if kind == 1:
        return np.add.accumulate(line.reshape(-1, step), axis=0, dtype=np.uint8).reshape(-1)
    result = [0] * len(line)
    known, up = line.tolist(), above.tolist()
    for k, value in enumerate(known):
        a, b = (result[k - step] if k >= step else 0), up[k]
        if kind == 3:
            guess = (a + b) // 2
        else:
            c = up[k - step] if k >= step else 0
            distances = (abs(b - c), abs(a - c), abs(a + b - 2 * c))
            guess = (a, b, c)[distances.index(min(distances))]
        result[k] = (value + guess) & 255
    return np.array(result, np.uint8)
