"""Pictures that a diffusion model learns from, and the samples that it is asked for."""
