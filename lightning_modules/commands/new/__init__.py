"""Templates for methods and data of one's own, and the command that writes them."""
