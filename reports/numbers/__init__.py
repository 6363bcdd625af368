"""Computes every number of the page; nothing is drawn here."""
