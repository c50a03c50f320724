"""Relapse models for breast cancer: gated data, leak-free training, evidence-based promotion, served with care."""

import atexit
import gc
import os

__version__ = "0.1.0"

# Scientific libraries make some hundred thousand objects that stay. Python would look through them for garbage again
# and again while they are imported, and once more when a process ends: most of what a short stage waits for.
gc.set_threshold(100_000, 50, 100)
atexit.register(gc.freeze)

#: No library may report to its makers, nor draw bars of its own; set here, before any of them can be imported.
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
for _name, _value in _QUIET.items():
    os.environ.setdefault(_name, _value)
