"""Quality: whether a table is what its declaration says, and whether it gives its outcome away."""
