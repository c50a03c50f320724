"""Encoders: a frozen trunk, run once for each picture, and a head trained on what it left, many heads at once."""
