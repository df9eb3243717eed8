"""Labelled video for quality assessment."""
