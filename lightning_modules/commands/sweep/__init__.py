"""Sweeps: a space of parameters, the trainings at its points, and which of them is best."""
