"""Coded checks of a table: what no rule on a single column can see."""
