"""Diffusion models of faces, tuned by a reward of what they make: fewer copies of the training set, less social bias."""
