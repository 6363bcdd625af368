"""Whether the place of recording can be read from the video features: what the check found, beside a study."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from trainables.study.formats import build, read_record, write_record

FILE = "readable.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Readable:
    """How well a group of the recordings, a site say, was read from the subjects' frozen video features."""

    attribute: str
    subjects: int
    groups: int
    balanced_accuracy: float
    """Cross-validated over subjects."""
    null_mean: float
    null_high: float
    """95 % quantile, with the groups exchanged among the subjects."""
    p_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadableRecord:
    """All that were checked."""

    found: tuple[Readable, ...]

    def save(self, folder: Path) -> None:
        write_record(folder / FILE, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "ReadableRecord":
        """Reads what `save` wrote; nothing where no check was run."""
        path = folder / FILE
        return build(cls, read_record(path), path) if path.exists() else cls(found=())
