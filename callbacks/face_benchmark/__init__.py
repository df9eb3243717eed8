"""Answers of a benchmark, written as they come, and what they come to."""
