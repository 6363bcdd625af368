"""The options of a search that say what is trained, and on which machines."""

from dataclasses import dataclass
from functools import partial
from os.path import abspath, expanduser, isdir  # a shell leaves the ~ of --cohort=~/cohort.csv as it is
from platform.declared import option
from typing import Any

from trainables.study.vocabulary import READERS


def model_path(text: str, *, embedded: str) -> str:
    """Returns a model's folder as an absolute path, which a worker elsewhere finds too; a hub id or the embedded one as it is."""
    path = expanduser(text)
    folder = path if isdir(path) else path.rpartition("#")[0]  # a knowledge encoder's pooling may follow
    return abspath(path) if text != embedded and isdir(folder) else text


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The backbone, and settings that the search does not vary."""

    epochs: int | None = option(
        group="training",
        help="train for this many passes over the training windows instead of for optimizer.steps steps",
    )
    prompts_from: str | None = option(
        group="training",
        path=True,
        metavar="FILE",
        help="start from the video prompts of a published Vita-CLIP checkpoint (.pth or .safetensors), read as weights only",
    )
    frames: int | None = option(
        group="training", help="frames that the prompted tower takes from a window (default: 16)"
    )
    backbone: str = option(
        "small",
        group="training",
        read=partial(model_path, embedded="small"),
        help="small (embedded), or a CLIP's Hugging Face folder or hub id",
    )
    knowledge_encoder: str = option(
        "clip",
        group="training",
        read=partial(model_path, embedded="clip"),
        help="clip, or a Hugging Face encoder's folder or hub id",
    )
    settings: dict[str, Any] = option(
        {},
        group="training",
        flag="set",
        metavar="NAME=VALUE",
        help="any setting of trainables/config.py, as optimizer.lr=0.001; repeat for more",
    )


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Where a search runs."""

    address: str = option(
        "local",
        group="machine",
        when_continued="free",
        help="local, auto (the cluster that this machine belongs to), or a Ray address",
    )
    workers: int = option(
        1, group="machine", when_continued="recorded", help="Ray Train workers of one trial; they share each batch"
    )
    cpus_per_worker: int | None = option(
        group="machine",
        when_continued="recorded",
        help="CPUs of a worker (default: a GPU's share of its machine's, 1 without GPUs)",
    )
    """None: a GPU's share of its machine's CPUs, 1 without GPUs."""
    gpus_per_worker: float | None = option(
        group="machine",
        when_continued="recorded",
        help="GPUs of a worker; a fraction shares one (default: 1 where there are any, else 0)",
    )
    """None: 1, or what there is for each worker; 0 where there are no GPUs."""
    cache: str = option(
        "",
        group="machine",
        path=True,
        when_continued="free",
        help="folder of decoded frames; none: ~/.cache/stridefold",
    )
    reader: str = option(
        "pyav",
        group="machine",
        choices=READERS,
        when_continued="free",
        help="what decodes videos; decord runs in a process of its own, checked against PyAV, and reads MP4 only",
    )
    plain: bool = option(
        False,
        group="machine",
        when_continued="free",
        command_alone=True,
        help="plain lines, also on a terminal",
    )
