"""Faces drawn from parameters by chance: what is drawn, and what is true of it."""
