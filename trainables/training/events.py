"""A fold's training curve as TensorBoard events: losses, learning rate and gradient norms, and nobody's name."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

NAME = "events.out.tfevents"
LOSSES = ("video", "numeric", "pairing", "anchor")


class EventFile:
    """An event file of one fold, which replaces those of an earlier session; each point is on disk when `write` returns.

    tensorboardX comes with Ray; without it nothing is written. Its SummaryWriter is not used, because that would put the
    machine's name into the file's.
    """

    def __init__(self, folder: Path, points: Iterable[Mapping[str, float]] = ()):
        """Opens the file.

        Args:
            points: what the fold had reached before.
        """
        self._writer: Any = None
        try:
            from tensorboardX.proto.event_pb2 import Event
            from tensorboardX.proto.summary_pb2 import Summary
            from tensorboardX.record_writer import RecordWriter
        except ImportError:
            return
        self._event, self._summary = Event, Summary
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{NAME}.*"):
            old.unlink()
        self._writer = RecordWriter(str(folder / f"{NAME}.{int(time.time())}"))
        self._put(Event(wall_time=time.time(), file_version="brain.Event:2"))
        for point in points:
            self.write(point)

    def write(self, point: Mapping[str, float]) -> None:
        """Adds one point of the curve."""
        if self._writer is not None:
            values = [
                self._summary.Value(tag=tag(name), simple_value=value)
                for name, value in point.items()
                if name not in ("step", "epoch")
            ]
            event = self._event(wall_time=time.time(), step=int(point["step"]), summary=self._summary(value=values))
            self._put(event)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _put(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())
        self._writer.flush()


def tag(name: str) -> str:
    """Returns the name under which TensorBoard shows a number of a point, grouped by what it is."""
    if name == "loss":
        return "loss/total"
    if name in LOSSES:
        return f"loss/{name}"
    return name.replace("gradient_", "gradient_norm/", 1) if name.startswith("gradient_") else name
