"""What training data hold, and what is wrong with them, said before anything trains."""
