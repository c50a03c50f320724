"""Cohorts: the declaration of a data set, its readers, and the canonical table made from both."""
