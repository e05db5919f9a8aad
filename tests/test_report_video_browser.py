"""The video beside the 3D view in a real browser: in step, each picture the right one, nothing to complain about."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from motorque.report import write_report
from report_video_case import gray, video_case
from test_report_browser import browser, console, run

__all__ = ["browser"]  # the fixture
pytestmark = pytest.mark.slow

UNEVEN = np.round(np.cumsum([0.0, *np.random.default_rng(3).choice([0.02, 0.03, 0.05, 0.11], 39)]), 3)

# Reads what is really on the video's canvas: the grey of a picture's lower edge tells which frame of the file it is.
PROBE = """<script>
(() => {
  const errors = [];
  addEventListener("error", (e) => errors.push(String(e.message)));
  addEventListener("unhandledrejection", (e) => errors.push(String(e.reason)));
  addEventListener("securitypolicyviolation", (e) => errors.push(`${e.violatedDirective}: ${e.blockedURI}`));
  const later = (ms) => new Promise((done) => setTimeout(done, ms)), one = (what) => document.querySelector(what);
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const look = () => {
    const film = one(".film"), c = film.querySelector("canvas");
    copy.canvas.width = c.width; copy.canvas.height = c.height; copy.drawImage(c, 0, 0);
    const p = copy.getImageData(0, 0, c.width, c.height).data;
    const edge = 4 * (Math.floor(c.height * 0.97) * c.width + (c.width >> 1));
    let blue = 0, orange = 0;
    for (let i = 0; i < p.length; i += 4) { if (p[i + 2] - p[i] > 60) blue++; if (p[i] - p[i + 2] > 60) orange++; }
    return { time: one(".viewer .time").textContent, seconds: Number(film.dataset.seconds),
      shown: Number(film.dataset.shown), grey: p[edge], blue, orange, away: film.classList.contains("away"),
      wide: c.clientWidth, tall: c.clientHeight };
  };
  const set = async (value) => {
    const slider = one(".bar input[type=range]");
    slider.value = value; slider.dispatchEvent(new Event("input")); await later(150);
    return look();
  };
  (async () => {
    while (document.documentElement.dataset.ready !== "yes") await later(50);
    await later(200);
    const seen = { start: look(), steps: [] }, max = Number(one(".bar input[type=range]").max);
    for (const share of [0, 0.13, 0.31, 0.5, 0.77, 1, 0.2]) seen.steps.push(await set(Math.round(share * max)));
    for (const box of document.querySelectorAll("input[data-film]:checked")) box.click();
    await later(100);
    seen.bare = look();
    for (const box of document.querySelectorAll("input[data-film]")) box.click();
    one("[data-film=closeup]").click(); await later(100);
    seen.closeup = look();
    one("[data-film=closeup]").click();
    const choice = one(".film select");
    if (choice) {
      choice.value = "1"; choice.dispatchEvent(new Event("change")); await later(200);
      seen.other = look();
    }
    const film = one(".film");
    film.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true })); await later(150);
    seen.key = look();
    // Without a screen nothing is refreshed, so that nothing would play.
    window.requestAnimationFrame = (call) => setTimeout(() => call(performance.now()), 16);
    film.querySelector("canvas").click(); await later(700); film.querySelector("canvas").click(); await later(200);
    seen.played = look();
    seen.wide = document.documentElement.scrollWidth - innerWidth;
    seen.errors = errors;
    const out = document.createElement("pre");
    out.id = "probe"; out.textContent = JSON.stringify(seen); document.body.append(out);
  })();
})();
</script>"""


def probe(browser: str, folder: Path, width: int, height: int) -> dict:
    page = folder / "probed.html"
    page.write_text((folder / "report.html").read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"))
    result = run(browser, folder, page, "--dump-dom", f"--window-size={width},{height}")
    assert console(result) == []
    found = re.search(r'<pre id="probe">(.*?)</pre>', result.stdout, re.DOTALL)
    assert found, f"the page never became ready: {result.stderr[-2000:]}"
    return json.loads(found[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


def held_to_the_picture(seen: dict) -> None:
    """The 3D view's time, the picture's own time and the picture itself belong together."""
    time = float(seen["time"].split()[0])
    shown = UNEVEN[int(np.abs(UNEVEN - seen["seconds"]).argmin())]
    assert shown == pytest.approx(seen["seconds"], abs=1e-3)
    # 3D frames are 10 ms apart; of the frames some are left out to keep to 20 pictures a second.
    assert abs(time - seen["seconds"]) < 0.075 or seen["away"]
    assert abs(seen["grey"] - gray(int(np.abs(UNEVEN - seen["seconds"]).argmin()))) < 5


@pytest.mark.parametrize(("width", "height"), [(1360, 900), (500, 900)])
def test_video_and_3d_view_go_in_step(browser: str, tmp_path: Path, width: int, height: int) -> None:
    write_report(video_case(tmp_path, UNEVEN, azimuths=(90.0, 60.0)), tmp_path / "out")
    seen = probe(browser, tmp_path / "out", width, height)
    assert seen["errors"] == []
    for step in [seen["start"], *seen["steps"], seen["closeup"], seen["other"], seen["key"], seen["played"]]:
        held_to_the_picture(step)
    assert len({s["shown"] for s in seen["steps"]}) >= 6
    assert min(s["blue"] for s in seen["steps"]) > 50 and min(s["orange"] for s in seen["steps"]) > 50
    assert seen["bare"]["blue"] == seen["bare"]["orange"] == 0, "the switches left something drawn"
    assert seen["closeup"]["blue"] > seen["steps"][-1]["blue"], "the close-up is no closer"
    assert seen["other"]["blue"] != seen["steps"][-1]["blue"], "the other camera shows the same"
    assert seen["key"]["time"] != seen["steps"][-1]["time"]
    assert seen["played"]["time"] != seen["key"]["time"], "a click on the picture did not play"
    assert seen["start"]["wide"] >= 150 and seen["start"]["tall"] >= 340
    assert seen["wide"] <= 0, "the page is wider than the screen"


def test_without_pictures_the_drawing_plays(browser: str, tmp_path: Path) -> None:
    write_report(video_case(tmp_path, UNEVEN, pictures=False), tmp_path / "out")
    seen = probe(browser, tmp_path / "out", 1200, 800)
    assert seen["errors"] == []
    assert min(s["blue"] for s in seen["steps"]) > 50
    for step in seen["steps"]:
        assert abs(float(step["time"].split()[0]) - step["seconds"]) < 0.075 or step["away"]
