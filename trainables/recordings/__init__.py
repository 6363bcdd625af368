"""Reads the frames of a recording, each at the time at which it is shown. No torch and no Ray here."""
