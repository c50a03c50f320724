"""Every fault of images that sets a patient aside, by its code; the patient flow counts them by what stands here."""

from relapse.ground.errors import ImageError

#: Code to what it means, in the words of the patient flow.
FAULTS: dict[str, str] = {
    "patient-name": "the patient's name is no name of a folder",
    "patient-absent": "no images of the patient",
    "phase-absent": "a phase is missing",
    "phase-twice": "a phase is there twice",
    "mask-absent": "no tumour mask",
    "file-unreadable": "a file cannot be opened",
    "file-empty": "a file is empty",
    "file-truncated": "a file ends too early",
    "file-damaged": "a compressed file is damaged",
    "file-foreign": "a file is neither NIfTI nor DICOM",
    "file-too-large": "a volume is larger than the limit",
    "header-broken": "a header contradicts itself",
    "not-a-volume": "a file holds no single volume",
    "not-greyscale": "voxels are not plain numbers",
    "spacing-absent": "the voxel spacing is missing or impossible",
    "orientation-absent": "the orientation is missing or impossible",
    "not-finite": "voxels that are not finite",
    "constant": "all voxels of a phase are equal",
    "phases-equal": "two phases are the same image",
    "geometry-differs": "phases lie on different grids",
    "mask-geometry": "the mask lies on another grid than the phases",
    "mask-empty": "the mask marks nothing",
    "mask-full": "the mask marks more than a tumour can be",
    "mask-values": "the mask is not made of whole labels",
    "series-mixed": "a folder holds more than one DICOM series",
    "series-gap": "slices of a DICOM series are missing or there twice",
    "series-uneven": "slices of a DICOM series differ in size, spacing or direction",
    "pixels-absent": "a DICOM file holds no pixels",
    "pixels-compressed": "pixels compressed in a way that cannot be read here",
}

#: The same of mammograms, which are read by themselves; what befalls any file stands above.
FILM_FAULTS: dict[str, str] = {
    "film-frames": "a file of a film holds several pictures",
    "film-coarse": "a film has too few pixels or grey levels to be read",
    "film-inverted": "a film's background is brighter than its breast",
    "film-laterality": "a film's header names another side than is declared",
    "film-empty": "no breast is found in a film",
    "spacing-implausible": "the declared pixel spacing cannot be that of a mammogram",
}

#: The same of what a service is sent: these set no patient aside, and stand in answers only.
UPLOAD_FAULTS: dict[str, str] = {
    "upload-phases": "another number of phases was sent than is declared",
    "upload-too-large": "an upload, or what it unfolds to, is larger than the limit",
    "upload-archive": "an archive is damaged, or of a kind that is not taken",
    "upload-encrypted": "an archive is encrypted",
    "upload-nested": "an archive holds an archive",
    "upload-picture": "a preprocessed picture is not one that was packed here for this model",
}


def fault(code: str, message: str) -> ImageError:
    """Make the error of a fault; ``message`` says what was found, where, what is allowed, and what to do."""
    if code not in FAULTS | FILM_FAULTS | UPLOAD_FAULTS:
        raise KeyError(code)
    return ImageError(code, message)
