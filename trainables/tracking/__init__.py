"""Finds the walker in a video and follows the walker: a box and a square per frame, and which frames are used. No Ray here."""
