"""One key map per source of weights."""
