"""The cohorts and predictions that reports are made from, drawn here."""

from tests.report.conftest import binary, paired_rows, survival

__all__ = ["binary", "paired_rows", "survival"]
