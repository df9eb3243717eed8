"""Columns of the table at the end of `appraise reward-study`."""

from __future__ import annotations

from lightning_modules.commands.rows.estimates import Column

# Header, value of the row, digits after the point.
COLUMNS: tuple[Column, ...] = (
    ("share", "share", 3),
    ("amplification", "amplification", 3),
    ("copies", "copies", 3),
    ("near copies", "near_copies", 3),
    ("similarity", "similarity_mean", 3),
    ("KID", "kid", 3),
    ("KID in class", "class_kid", 3),
    ("precision", "precision", 3),
    ("recall", "recall", 3),
    ("spread", "spread", 3),
    ("seconds", "seconds", 0),
)


def name_of(value: str) -> str:
    """What a value is called in table and figure."""
    return next((header for header, name, _ in COLUMNS if name == value), value)
