"""Generated short-form clips, degraded and encoded, with scores that are known."""
