"""Commands that need methods and data; imported by the front door alone."""
