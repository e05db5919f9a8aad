"""The controls around the 3D canvas and its caption; ``viewer.js`` brings them to life."""

from __future__ import annotations


def viewer(shown: int, frames: int) -> str:
    """The 3D view.

    Args:
        shown: Frames that it plays.
        frames: Frames of the recording.
    """
    caption = (
        "Joint centres, markers, forces and the centre of mass are measured or computed. Rib cage, skull, wings of the "
        "pelvis, hands, toes and the thickness of the bones are drawn for orientation only."
    )
    if shown < frames:
        caption += f" {shown} of {frames} frames are shown; everything is computed from all of them."
    return f'{_CONTROLS}<p class="caption">{caption}</p>\n</div>'


_CONTROLS = """<div class="viewer card">
<div class="stage" tabindex="0" role="application"
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
<div class="bar">
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
