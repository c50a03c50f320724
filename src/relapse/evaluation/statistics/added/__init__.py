"""Added value: what a score or a set of risks adds to those that the clinic has already."""
