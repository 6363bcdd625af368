"""What a prediction can be asked to do, checked before anything large is imported."""

from dataclasses import dataclass
from pathlib import Path

from trainables.errors import ConfigurationError

NOTICE = "for research only: not a medical device, and no basis for the diagnosis or treatment of anyone"


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What a prediction was asked to do. Each field is an argument or option of the same name."""

    study: Path
    videos: tuple[str, ...] = ()
    manifest: Path | None = None
    follow_links: bool = False
    fold: int | None = None
    out: Path | None = None
    device: str = "auto"
    backbone: str = ""
    knowledge_encoder: str = ""
    cache: str = ""
    reader: str = "pyav"
    pose_weights: str = ""
    workers: int = 1
    resume: bool = False

    def __post_init__(self) -> None:
        if bool(self.videos) == (self.manifest is not None):
            given = "both were given" if self.videos else "neither was given"
            raise ConfigurationError(f"give video files or --manifest FILE; {given}", code="predict.what_to_read")
        if self.workers < 1:
            raise ConfigurationError(f"--workers is {self.workers}, but must be at least 1", code="option.too_small")
        if self.resume and (self.out is None or self.out.suffix.lower() != ".json" or self.manifest is not None):
            raise ConfigurationError(
                "--resume goes on with a file of single videos: it needs --out FILE.json, and no --manifest",
                code="option.resume.conflict",
            )
        if self.out is not None and self.out.suffix.lower() not in (".json", ".csv"):
            raise ConfigurationError(f"--out {self.out} must end in .json or .csv", code="output.ending")
        if self.out is not None and not self.out.absolute().parent.is_dir():
            raise ConfigurationError(
                f"--out {self.out}: there is no folder {self.out.parent}; make it first", code="output.no_folder"
            )
        if self.out is not None and self.manifest is not None and self.out.resolve() == self.manifest.resolve():
            raise ConfigurationError(
                f"--out {self.out} is the manifest itself; choose another file", code="output.is_input"
            )
        if self.device == "cuda":
            device_of(self.device)

    def chosen_device(self) -> str:
        """Returns cpu or cuda: cuda where it was not ruled out and there is one."""
        return device_of(self.device)


def device_of(asked: str) -> str:
    """Returns cpu or cuda of auto, cpu or cuda.

    Raises:
        ConfigurationError: A GPU was asked for, and none can be used.
    """
    if asked == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if asked == "cuda":
        raise ConfigurationError(
            "--device cuda, but no CUDA GPU can be used here; use cpu or auto", code="device.no_gpu"
        )
    return "cpu"
