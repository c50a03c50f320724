"""Deployment in steps on one machine: shadow, part, all, with a way back that is taken without anybody asking."""
