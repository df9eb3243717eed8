"""What draws, values and writes the pictures of a diffusion model."""
