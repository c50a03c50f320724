"""Bundle: the served artefact, how it is written, verified and loaded; its only reader."""
