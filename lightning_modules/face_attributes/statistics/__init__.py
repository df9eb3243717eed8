"""Sums of activations by attribute in one pass over the faces, their file, and whether they are normal."""
