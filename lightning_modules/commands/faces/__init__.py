"""``generate`` and ``evaluate-faces``: made faces, and judges that look at them."""
