"""``export``: a trained network as one graph with a JSON and a card beside it, checked against torch on real input."""
