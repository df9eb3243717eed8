"""Clips and frames of actions: lists, splits, sparse frames, streams, and a generated demo."""
