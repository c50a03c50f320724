"""Decisions: what a yes or no costs and gains, and how two of them differ."""
