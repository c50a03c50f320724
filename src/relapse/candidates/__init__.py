"""Candidates: one module a family, each with a head for the endpoints it can model."""
