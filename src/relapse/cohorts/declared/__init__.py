"""The parts of a declaration: features, endpoint, source."""
