"""The controls around the 3D canvas and its caption; ``viewer.js`` brings them to life."""

from __future__ import annotations

from collections.abc import Sequence

from motorque.report.markup import escape


def viewer(
    shown: int, frames: int, *, film: str = "", film_caption: str = "", film_shape: tuple[int, int] = (1, 1)
) -> str:
    """The 3D view, with the video beside it where there is one.

    Args:
        shown: Frames that it plays.
        frames: Frames of the recording.
        film: What :func:`film_stage` made; empty without video.
        film_caption: What to say about the pictures; ready-made.
        film_shape: Width and height of the video's pictures [px].
    """
    caption = (
        "Joint centres, markers, forces and the centre of mass are measured or computed. Rib cage, skull, wings of the "
        "pelvis, hands, toes and the thickness of the bones are drawn for orientation only."
    )
    if shown < frames:
        caption += f" {shown} of {frames} frames are shown; everything is computed from all of them."
    if not film:
        return f'<div class="viewer card">\n{_STAGE}{_BAR}<p class="caption">{caption}</p>\n</div>'
    wide, tall = film_shape
    # As high as the 3D view is without a video, less for a wide picture; never wider than leaves room for the 3D view.
    height = max(340, min(560, round(660 * tall / wide)))
    sizes = f"--tall:min({height}px,70vh);--film:min(56%,{round(height * wide / tall)}px)"
    return (
        f'<div class="viewer card" style="{sizes}">\n<div class="pair">\n{film}{_STAGE}</div>\n{_BAR}'
        f'<p class="caption">{film_caption}</p>\n<p class="caption">{caption}</p>\n</div>'
    )


def film_stage(names: Sequence[str]) -> str:
    """The video's canvas with its switches; ``video.js`` brings it to life.

    Args:
        names: The views; several can be chosen from.
    """
    options = "".join(f'<option value="{k}">{escape(name)}</option>' for k, name in enumerate(names))
    choice = f'<select aria-label="Camera">{options}</select>' if len(names) > 1 else ""
    return _FILM.replace("CHOICE", choice)


_FILM = """<div class="film" tabindex="0" role="application" aria-label="Video with the fitted skeleton drawn over it.
Space plays, arrow keys step.">
<canvas></canvas>
<div class="views">CHOICE
<button type="button" data-film="closeup" aria-pressed="false" title="the person fills the picture">close-up</button>
</div>
<div class="hint"></div>
<div class="layers">
<label><input type="checkbox" data-film="skeleton" checked>skeleton</label>
<label><input type="checkbox" data-film="detected" checked>detected</label>
<label><input type="checkbox" data-film="model">fitted</label>
</div>
</div>
"""

_STAGE = """<div class="stage" tabindex="0" role="application"
aria-label="3D view of the skeleton. Space plays, arrow keys step, plus and minus zoom, 1 to 4 change the view.">
<canvas></canvas>
<div class="views">
<button type="button" data-view="side" title="from the right (1)">side</button>
<button type="button" data-view="front" title="from the front (2)">front</button>
<button type="button" data-view="oblique" title="three-quarter view (3)">¾</button>
<button type="button" data-view="top" title="from above (4)">top</button>
</div>
<div class="hint">drag to turn · click, then wheel to zoom · space plays · ← → step</div>
</div>
"""

_BAR = """<div class="bar">
<button type="button" class="play" aria-label="Play"></button>
<input type="range" min="0" step="1" value="0" aria-label="Time">
<span class="time"></span>
<select aria-label="Speed">
<option value="0.1">0.1×</option><option value="0.25">0.25×</option><option value="0.5">0.5×</option>
<option value="1" selected>1×</option><option value="2">2×</option>
</select>
</div>
<div class="shows">
<label><input type="checkbox" data-show="bones">skeleton</label>
<label><input type="checkbox" data-show="measured">measured markers</label>
<label><input type="checkbox" data-show="model">model markers</label>
<label><input type="checkbox" data-show="loads">ground forces</label>
<label><input type="checkbox" data-show="com">centre of mass</label>
<label><input type="checkbox" data-show="follow">follow</label>
</div>
"""
