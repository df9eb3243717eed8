"""Scores of videos as rows, plots and baselines, and the regions that were looked at."""
