"""Which version of a tracker, with which weights, chose the part of each video that a study's models saw."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackerVersion:
    """What decides a track, in addition to the video and the tracker's name."""

    version: int
    """TRACK_VERSION of its time."""
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of weights, by its name; empty for a tracker without weights."""

    def __str__(self) -> str:
        hashes = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in sorted(self.weights.items()))
        return f"version {self.version}" + (f" with {hashes}" if hashes else "")
