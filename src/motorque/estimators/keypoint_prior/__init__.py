"""A learned guess of poses from the keypoints of one video: the fit's start and prior."""
