"""Draws numbers as pictures of the page."""
