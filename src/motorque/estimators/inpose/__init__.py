"""InPose: from a few tracked points to a whole body, for any body, by a diffusion prior over rotations."""
