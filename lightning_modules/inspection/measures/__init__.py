"""Measures over areas, boxes and whole images, for each domain."""
