"""Tests, in folders that mirror the source. End-to-end tests of commands are in tests/platform."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
WALKERS = ROOT.parent / "shared" / "data" / "walkers" / "cohort.csv"
"""People drawn from motion capture, where they lie next to the checkout; tests that need them skip elsewhere."""
