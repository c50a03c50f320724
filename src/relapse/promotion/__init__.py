"""Promotion: from evidence alone to a decision that says why."""
