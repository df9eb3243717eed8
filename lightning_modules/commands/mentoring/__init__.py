"""``mentor`` and ``mentor-loop``: answers of an operator, and the whole experiment of the paper."""
