"""The figures of explanations, and the files that hold them with the frames they are drawn from."""
