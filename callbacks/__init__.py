"""Callbacks of appraise, imported on first use."""
