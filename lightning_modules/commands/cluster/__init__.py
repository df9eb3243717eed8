"""Jobs of a cluster: their script, their queue, and where they stand."""
