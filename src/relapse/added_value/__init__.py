"""Added value: what a block of features adds to what is known without it, for patients whom no model had seen."""
