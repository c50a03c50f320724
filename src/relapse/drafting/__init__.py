"""Drafting: from a table as it lies there to a first declaration that says where it is unsure."""
