"""Single frames to learn from: chosen, decoded once, stored, augmented, loaded."""
