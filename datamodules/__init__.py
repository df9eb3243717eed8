"""Data modules of appraise, imported on first use."""
