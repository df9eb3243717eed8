"""Answers out of a feedback store and into it, in the formats of other tools."""
