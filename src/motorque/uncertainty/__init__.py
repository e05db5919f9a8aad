"""Error bars: how noise of what was measured, smoothing and the model reach angles, torques and loads."""
