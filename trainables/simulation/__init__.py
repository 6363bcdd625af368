"""Simulated walkers: how they walk, what a camera sees of them, and the embedded cohort."""
