"""Faces with attributes as batches: labelled faces to learn from, and requests for faces to make."""
