"""The shipped configuration files."""
