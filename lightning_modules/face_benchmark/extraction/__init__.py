"""Which option an answer in words means."""
