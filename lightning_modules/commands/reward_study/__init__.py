"""``appraise reward-study``: models that are trained and tuned in many ways, their samples measured, one table."""
