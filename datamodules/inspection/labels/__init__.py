"""Label formats of parts, masks and boxes, an operator's answers as labels, and splits."""
