"""A real cohort of six subjects: videos, manifest, frame cache, and its folds as the trainers get them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.tiny import save_tiny_clip
from tests.videos import write_video
from trainables.cohort.manifest import read_manifest
from trainables.config import PUBLISHED, TrainConfig
from trainables.data.cache import ingest_cohort
from trainables.knowledge.tasks import ClassKnowledge, Description, Task
from trainables.model.backbone import load_backbone
from trainables.study.records import Cohort, Fold
from trainables.training.frozen import FrozenFeatures
from trainables.training.job import FoldJob

TASK = Task(
    name="gait",
    title="gait",
    label="gait",
    ordinal=True,
    healthy="normal",
    classes=(
        ClassKnowledge(
            value="normal",
            name="normal gait",
            descriptions=(Description(notion="Long even steps with arm swing.", keywords=("long steps",)),),
        ),
        ClassKnowledge(
            value="slow",
            name="slow gait",
            descriptions=(
                Description(notion="Short slow steps.", keywords=("short steps", "stooped trunk")),
                Description(notion="The arms hardly swing."),
            ),
        ),
    ),
)
CONFIG = TrainConfig().with_values(
    PUBLISHED
    | {
        "video.frames": 2,
        "video.window": 30,
        "video.stride": 15,
        "video.min_tail": 10,
        "video.n_global": 2,
        "text.n_ctx": 2,
        "text.bottleneck": 8,
        "numeracy.subset_size": 2,
        "numeracy.max_correlation": 1.0,
        "numeracy.head_width": 8,
        "numeracy.memory_batch": 8,
        "optimizer.epochs": 2,
        "optimizer.lr": 1e-3,
        "optimizer.focal_gradient": False,
        "decoder.layers": 1,
        "decoder.heads": 2,
        "decoder.width": 32,
        "decoder.steps": 30,
        "decoder.batch_size": 8,
        "decoder.lr": 1e-2,
    }
)
"""The published method on two frames of short windows: a fold trains in a second."""
RECIPE = CONFIG.with_values(
    {
        name: value
        for name, value in TrainConfig().flat().items()
        if name in PUBLISHED and name not in ("video.frames", "optimizer.steps")
    }
    | {"optimizer.steps": 8, "motion.components": 4}
)
"""The default recipe at the same size: motion read-out, anchors, balanced draws, a budget of eight steps."""
PARAMETERS = ("walking_speed_m_per_s", "cadence_steps_per_min", "step_length_left_cm")


@dataclass(frozen=True, kw_only=True)
class TinyCohort:
    """An ingested cohort with a frozen tiny backbone."""

    cohort: Cohort
    task: Task
    frozen: FrozenFeatures
    cache: Path

    def job(self, folder: Path, *, held_out: tuple[str, ...] = ("S1", "S6"), **changes) -> FoldJob:
        """Returns the fold that holds out some subjects; `changes` replace fields of the job."""
        subjects = self.cohort.subjects()["subject"].to_list()
        fold = Fold(index=0, train=tuple(s for s in subjects if s not in held_out), test=held_out)
        job = FoldJob(
            cohort=self.cohort, fold=fold, frozen=self.frozen, cache=self.cache, folder=folder, key=folder.name
        )
        return replace(job, **changes)


def make_cohort(folder: Path) -> TinyCohort:
    """Writes eight videos of six subjects, three of each class, reads their manifest and fills a frame cache."""
    lines = [",".join(("subject", "video", "gait", *PARAMETERS))]
    for number, (subject, label, values) in enumerate(_rows()):
        write_video(folder / f"{number}.mp4", frames=60, seed=number)
        lines.append(",".join((subject, f"{number}.mp4", label, *(f"{v:g}" if v is not None else "" for v in values))))
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    save_tiny_clip(folder / "clip")
    return read_cohort(folder)


def read_cohort(folder: Path) -> TinyCohort:
    """Returns the cohort that `make_cohort` wrote into a folder."""
    cohort, task = read_manifest(folder / "cohort.csv", task=TASK, label=None, parameters=(), named=PARAMETERS, folds=3)
    backbone = load_backbone(str(folder / "clip"))
    ingested = ingest_cohort(cohort, size=backbone.image_size, folder=folder / "cache")
    frozen = FrozenFeatures(backbone, task, [p.name for p in cohort.parameters])
    return TinyCohort(cohort=ingested, task=task, frozen=frozen, cache=folder / "cache")


def _rows() -> Iterator[tuple[str, str, tuple[float | None, ...]]]:
    yield "S1", "normal", (1.3, 112.0, 64.0)
    yield "S1", "normal", (1.25, 110.0, None)
    yield "S2", "normal", (1.1, 118.0, 58.0)
    yield "S3", "normal", (1.4, 108.0, 66.0)
    yield "S4", "slow", (0.6, 92.0, 35.0)
    yield "S5", "slow", (0.8, 85.0, 48.0)
    yield "S5", "slow", (0.75, None, 44.0)
    yield "S6", "slow", (0.5, 101.0, 30.0)
