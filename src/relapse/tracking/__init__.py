"""Tracking: what the files say, published to MLflow; the registry and its aliases."""
