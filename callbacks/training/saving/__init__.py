"""What a run writes to go on from: checkpoints whole or not at all, the best and the newest, a stop at a whole step."""
