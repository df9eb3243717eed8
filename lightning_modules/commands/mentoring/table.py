"""Columns of the table at the end of `appraise mentor-loop`."""

from __future__ import annotations

from lightning_modules.commands.rows.estimates import Column

# Header, metric (or fact of the row), digits after the point.
COLUMNS: tuple[Column, ...] = (
    ("mAP original", "test/map_original", 3),
    ("mAP new", "test/map_new", 3),
    ("P@.5", "test/precision_new", 3),
    ("R@.5", "test/recall_new", 3),
    ("P tuned", "test/precision_tuned_new", 3),
    ("R tuned", "test/recall_tuned_new", 3),
    ("box mAP new", "test/box_map_new", 3),
    ("false positives an image", "test/false_positives_per_image_new", 2),
    ("new ones", "test/new_false_positives_per_image_new", 2),
    ("operator minutes", "operator_minutes", 0),
    ("seconds", "seconds", 0),
)
