"""Mammograms: from a film to size, shape, margin and density, each with how sure the reader is."""
