"""Lays numbers and pictures out as documents: the page, the model card, the PDF."""
