"""Monitoring: what was served against what the model was trained on, with alarms that hold over any number of looks."""
