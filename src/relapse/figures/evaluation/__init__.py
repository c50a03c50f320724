"""The figures of an evaluation, and the files that hold them with the frames they are drawn from."""
