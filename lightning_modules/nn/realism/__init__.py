"""Whether made pictures look like real ones: distances of distributions, spread, nearest pictures."""
