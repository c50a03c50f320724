"""Evaluation: what a table of predictions is worth, and how sure one can be of it."""
