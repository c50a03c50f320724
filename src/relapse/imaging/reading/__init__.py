"""Volumes from files, in bounded memory: NIfTI, DICOM series, and the folders that a data set keeps them in."""
