"""Survival: Kaplan-Meier, who counts as what at a horizon, and accuracy there under censoring."""
