"""Description: what the table holds before any model, overall and by outcome, without any patient's own value."""
