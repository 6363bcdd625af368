"""What an evaluation can be asked to do, checked before anything large is imported."""

from dataclasses import dataclass, field
from pathlib import Path
from platform.predict_options import device_of

from trainables.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What an evaluation was asked to do. Each field is an argument or option of the same name."""

    model: Path
    cohort: Path
    label: str | None = None
    task: str = ""
    column: dict[str, str] = field(default_factory=dict)
    attribute: tuple[str, ...] = ()
    label_per_video: bool = False
    follow_links: bool = False
    study: Path | None = None
    ids_are_unrelated: bool = False
    out: Path | None = None
    device: str = "auto"
    backbone: str = ""
    knowledge_encoder: str = ""
    cache: str = ""
    reader: str = "pyav"
    pose_weights: str = ""
    workers: int = 1
    address: str = ""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigurationError(f"--workers is {self.workers}, but must be at least 1", code="option.too_small")
        if self.folder.exists() and (self.folder.is_file() or any(self.folder.iterdir())):
            raise ConfigurationError(
                f"{self.folder} exists already; give a new folder with --out, or delete it first", code="output.exists"
            )
        if self.device == "cuda":
            device_of(self.device)

    @property
    def folder(self) -> Path:
        """Returns the folder of the results."""
        return self.out or Path("evaluations") / f"{self.model.resolve().name}-{self.cohort.stem}"
