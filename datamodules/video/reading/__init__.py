"""Frames of a file by index, over decord or PyAV, and the survey of what the file holds."""
