"""Reads a cohort: its table, its labels and numbers, and which videos it names. No torch and no Ray here."""
