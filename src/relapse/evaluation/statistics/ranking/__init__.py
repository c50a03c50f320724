"""Ranking: ROC AUC, Harrell's C and their paired tests, and the counting behind them."""
