"""Faces drawn from parameters by chance: what is drawn, what is true of it, and requests for it."""
