"""Figures: frames in, pictures out, for evaluation, description, explanation and audit; nothing is computed here."""
