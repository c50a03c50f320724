"""Drills: what is left of a project where processes are killed, disks fill and servers go."""
