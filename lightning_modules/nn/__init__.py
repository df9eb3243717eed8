"""Small parts with no home method."""
