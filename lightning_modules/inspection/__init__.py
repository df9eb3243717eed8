"""Mentoring: detectors of defects that learn from complete labels and from an operator's answers."""
