"""Pictures into a video file, with the sound of the source."""
