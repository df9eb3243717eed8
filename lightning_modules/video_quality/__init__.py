"""KSVQE: quality of short-form video, from regions that matter, their content and their distortions."""
