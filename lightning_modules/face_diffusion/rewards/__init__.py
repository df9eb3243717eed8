"""Rewards of made pictures, and the networks that they ask."""
