"""Attributes of faces as reports, lists and figures, and made faces as pictures."""
