"""Relapse models for breast cancer: gated data, leak-free training, evidence-based promotion, served with care."""

__version__ = "0.1.0"
