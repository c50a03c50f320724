"""Work on a cluster of Dask's: the same bytes as here, every candidate of every cohort at once."""
