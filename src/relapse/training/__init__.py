"""Training: folds that keep patients together, tuning inside them, and predictions for rows that were not seen."""
