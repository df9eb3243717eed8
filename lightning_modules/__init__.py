"""Methods of appraise, imported on first use."""
