"""Faces and what is said of them: label lists, crops, splits, requests for faces, and a renderer of generated ones."""
