"""Detections into the feedback store, and what a mentored model does otherwise than the deployed one."""
