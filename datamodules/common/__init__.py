"""What several kinds of data need."""
