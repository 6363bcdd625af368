"""Stridefold: knowledge-augmented video CLIP for gait."""
