"""Calibration: slope, intercept, observed over expected, curves; and the regressions behind them."""
