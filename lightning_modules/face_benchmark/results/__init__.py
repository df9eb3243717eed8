"""Answers on disk, and what they come to: accuracies, intervals, tables."""
