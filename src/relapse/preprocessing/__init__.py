"""Preprocessing: unfitted transformers and samplers, all derived from the cohort's declaration."""
