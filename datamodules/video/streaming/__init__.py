"""Frames of a source one after the other, however long it is, live ones too."""
