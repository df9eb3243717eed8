"""Generated surfaces of two production lines, with defects whose pixels are known."""
