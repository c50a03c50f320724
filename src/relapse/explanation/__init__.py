"""Which features a model's predictions rest on: Shapley values, permutation importance, and how steady both are."""
