"""Images as columns: DCE-MRI volumes read, checked, corrected, cropped and cached; encoders of what is left of them."""
