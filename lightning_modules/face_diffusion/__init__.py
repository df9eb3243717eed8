"""Diffusion models of faces, tuned by a reward: fewer copies of training pictures, less social bias."""
