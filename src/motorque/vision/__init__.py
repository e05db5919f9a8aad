"""From a video to keypoints: frames, detectors, and one person followed through them."""
