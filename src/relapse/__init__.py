"""Relapse models for breast cancer: gated data, leak-free training, evidence-based promotion, served with care."""

import atexit
import gc

__version__ = "0.1.0"

# Scientific libraries make some hundred thousand objects that stay. Python would look through them for garbage again
# and again while they are imported, and once more when a process ends: most of what a short stage waits for.
gc.set_threshold(100_000, 50, 100)
atexit.register(gc.freeze)
