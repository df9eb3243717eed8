"""Streams as segments, annotated videos and figures, and how well a test's classes were told apart."""
