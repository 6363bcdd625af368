"""Builds a study folder with real records from seeded synthetic predictions, for the tests of the report.

`python tests/make_study.py FOLDER` writes one to look at.
"""

import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import optuna
import polars as pl
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from trainables.config import TrainConfig
from trainables.knowledge.tasks import ClassKnowledge, Description, Task
from trainables.study.descriptions import (
    CONTROLS,
    Attention,
    ClassDescription,
    ClassValue,
    Control,
    FoldDescriptions,
    ParameterSkill,
)
from trainables.study.files import digest, write_parquet
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.leaderboard import best, read_trials
from trainables.study.learning_records import ALL, LearningPoint, LearningRecord, part_folder
from trainables.study.metrics import log_loss, score
from trainables.study.outer_records import OuterResult
from trainables.study.records import (
    Cohort,
    DecodedClass,
    DecodedValue,
    Fold,
    FoldResult,
    Parameter,
    Splits,
    StudyRecord,
)

CLASSES = ("normal gait", "slight impairment", "mild impairment")
PARAMETERS = (
    Parameter(key="walking_speed", name="walking speed", unit="leg/s", leg_scaled=True),
    Parameter(key="cadence", name="cadence", unit="steps/min"),
    Parameter(key="step_time_left", name="left step time", unit="s", side="left"),
    Parameter(key="step_time_difference", name="left-right step time difference", unit="s", side="difference"),
    Parameter(key="base_left", name="left heel-to-heel base of support", unit="cm", side="left"),
    Parameter(key="double_support_left", name="left double support", unit="%", side="left"),
)
CENTRES = np.array(
    [[1.45, 112, 0.52, 0.015, 8.5, 24.0], [1.22, 105, 0.57, 0.03, 9.8, 28.0], [0.9, 96, 0.64, 0.06, 12.0, 34.0]]
)
SPREADS = np.array([0.16, 7.0, 0.04, 0.012, 1.6, 3.0])
AXES = {
    "text.n_ctx": IntDistribution(4, 20, step=4),
    "numeracy.enabled": CategoricalDistribution([True, False]),
    "numeracy.weight": FloatDistribution(0.01, 1.0, log=True),
    "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
    "text.context_init": CategoricalDistribution(["zeros", "normal", "words"]),
}


def make_study(
    folder: Path,
    *,
    seed: int = 0,
    trials: int = 12,
    finished: bool = True,
    simulated: bool = True,
    permutations: int = 0,
    classes: tuple[str, ...] = CLASSES,
    subject_prefix: str = "S",
    per_class: int = 9,
    folds: int = 3,
) -> Path:
    """Writes a study of `trials` trials under `folder` and returns it.

    Trials 3, 7, ... are pruned after two folds and trial 5 fails; with `finished=False` the last one still runs. With
    `trials=0` the search has only just begun.
    """
    rng = np.random.default_rng(seed)
    cohort = _cohort(rng, classes, subject_prefix, per_class, simulated)
    splits = _splits(cohort, folds)
    cohort.save(folder)
    splits.save(folder / "splits.json")
    write_parquet(folder / "ledger.parquet", splits.ledger(cohort))
    record = StudyRecord(
        name="gait-study",
        options={"trials": max(trials, 12), "folds": folds, "seed": seed, "space": "full"},
        task=dataclasses.asdict(_task(classes)),
        metric="subject/macro_f1",
        cohort_sha256=cohort.sha256(),
        splits_sha256=splits.sha256(),
        backbone={"name": "small", "sha256": digest("small"), "width": 64},
        versions={"stridefold": "0.1.0", "torch": "2.13.0", "python": "3.11.9"},
        git="f112123c0ffee",
        started="2026-03-14T09:26:53+00:00",
        finished="2026-03-14T11:02:10+00:00" if finished else None,
        wall_seconds=5717.0,
        permutations=tuple(float(v) for v in rng.beta(6, 11, permutations)),
    )
    record.save(folder)
    _search(folder, record, cohort, splits, trials, finished, rng)
    return folder


def add_baselines(folder: Path, **skills: float) -> Path:
    """Gives a study baselines of some skill, as `untrained=0.2` (its trials have about 1), and returns the study."""
    study, cohort, splits = StudyRecord.load(folder), Cohort.load(folder), Splits.load(folder / "splits.json")
    keys: dict[str, list[str]] = {}
    for name, skill in skills.items():
        config = TrainConfig().with_values({"model": name})
        for fold in splits.folds:
            result = _fold(config, cohort, fold, skill, np.random.default_rng([fold.index, len(name)]))
            result.save(folder / "folds" / result.key)
            keys.setdefault(name, []).append(result.key)
    dataclasses.replace(study, baselines=keys).save(folder)
    return folder


def add_learning_curve(folder: Path, **skills: float) -> Path:
    """Gives a study a learning curve of its best trial, of some skill at each share, as `share_40=0.2`; returns the study."""
    study, cohort, splits = StudyRecord.load(folder), Cohort.load(folder), Splits.load(folder / "splits.json")
    trial = best(read_trials(folder, study.name), len(splits.folds))
    assert trial is not None
    config, points = TrainConfig.from_flat(trial.config), []
    for name, skill in skills.items():
        share, keys = int(name.removeprefix("share_")), []
        for fold in splits.folds:
            result = _fold(config, cohort, fold, skill, np.random.default_rng([fold.index, share]))
            result.save(part_folder(folder, share, fold.index) / "folds" / result.key)
            keys.append(result.key)
        subjects = tuple(len(fold.train) * share // 100 for fold in splits.folds)
        points.append(LearningPoint(share=share, subjects=subjects, keys=tuple(keys)))
    everyone = tuple(len(fold.train) for fold in splits.folds)
    points.append(LearningPoint(share=ALL, subjects=everyone, keys=trial.folds))
    LearningRecord(trial=trial.number, points=tuple(points)).save(folder)
    return folder


def change_chosen(folder: Path, change: Callable[[FoldResult], FoldResult]) -> Path:
    """Replaces each fold result of a study's best trial, and returns the study."""
    splits = Splits.load(folder / "splits.json")
    trial = best(read_trials(folder, StudyRecord.load(folder).name), len(splits.folds))
    assert trial is not None
    for key in trial.folds:
        change(FoldResult.load(folder / "folds" / key)).save(folder / "folds" / key)
    return folder


def add_outer_folds(folder: Path, scorings: int = 1) -> Path:
    """Gives a study nested cross-validation of its folds, by its best trial's results, and returns the study."""
    study, cohort, splits = StudyRecord.load(folder), Cohort.load(folder), Splits.load(folder / "splits.json")
    dataclasses.replace(study, options=study.options | {"outer_folds": len(splits.folds)}).save(folder)
    outer = folder / "outer"
    cohort.save(outer)
    splits.save(outer / "splits.json")
    dataclasses.replace(study, name="outer").save(outer)
    trial = best(read_trials(folder, study.name), len(splits.folds))
    assert trial is not None
    for fold, key in zip(splits.folds, trial.folds, strict=True):
        inner = outer / str(fold.index)
        dataclasses.replace(cohort, videos=cohort.of_subjects(fold.train)).save(inner)
        shutil.copytree(folder / "folds" / key, inner / "folds" / key)
        OuterResult(
            fold=fold.index,
            trial=trial.number,
            config=trial.config,
            params=trial.params,
            inner_score=0.9,
            keys=(key,),
            predictions=(predictions := FoldResult.load(folder / "folds" / key).predictions),
            scorings=("2026-03-14T10:00:00+00:00",) * scorings,
            trials=study.options["trials"],
            by_model=predictions.with_columns(model=pl.lit(0, dtype=pl.Int64)),
        ).save(outer)
    return folder


def _cohort(rng: np.random.Generator, classes: tuple[str, ...], prefix: str, per_class: int, simulated: bool) -> Cohort:
    rows = []
    for label in range(len(classes)):
        for index in range(per_class):
            centre = rng.normal(CENTRES[label % 3], SPREADS)
            for view in range(2):
                video = f"{prefix}{label}{index:02}_{'ab'[view]}.mp4"
                values = rng.normal(centre, SPREADS / 4)
                measured = {
                    p.key: float(v) if rng.random() > 0.05 else None for p, v in zip(PARAMETERS, values, strict=True)
                }
                about = {"subject": f"{prefix}{label}{index:02}", "video": video, "path": f"/videos/{video}"}
                rows.append(
                    about | {"sha256": digest(video), "label": label, "frames": 180, "cached": video} | measured
                )
    excluded = (("walk_17.mp4", "no label in column updrs_gait"), ("walk_31.mp4", "the file has no frames"))
    return Cohort(
        name="cohort.csv",
        simulated=simulated,
        label="updrs_gait",
        classes=classes,
        parameters=PARAMETERS,
        videos=pl.DataFrame(rows, infer_schema_length=None),
        excluded=excluded,
    )


def _splits(cohort: Cohort, folds: int) -> Splits:
    subjects = cohort.subjects()["subject"].to_list()
    tests = [tuple(subjects[i::folds]) for i in range(folds)]
    made = tuple(
        Fold(index=i, train=tuple(s for s in subjects if s not in test), test=test) for i, test in enumerate(tests)
    )
    return Splits(method=f"StratifiedGroupKFold({folds}), seed 0", folds=made)


def _task(classes: tuple[str, ...]) -> Task:
    notions = (
        "The person walks at a comfortable speed with symmetric arm swing, long regular strides and a narrow base. "
        "Turning takes two or three steps and is steady.",
        "Gait is independent. Strides are a little shortened on one side, and one arm swings less, while speed is close to normal.",
        "Gait is independent but clearly impaired: short slow steps, reduced arm swing on both sides, a longer phase with both "
        "feet on the ground, and more steps to turn.",
    )
    keywords = (
        ("long regular strides", "symmetric arm swing"),
        ("reduced swing of one arm",),
        ("short slow steps", "en bloc turning"),
    )
    return Task(
        name="updrs",
        title="MDS-UPDRS gait score",
        label="updrs_gait",
        ordinal=True,
        healthy="0",
        classes=tuple(
            ClassKnowledge(
                value=str(i),
                name=name,
                descriptions=(
                    Description(
                        notion=notions[i % 3], keywords=keywords[i % 3], sources=("MDS-UPDRS part 3.10 (2008)",)
                    ),
                ),
            )
            for i, name in enumerate(classes)
        ),
    )


def _search(
    folder: Path,
    record: StudyRecord,
    cohort: Cohort,
    splits: Splits,
    trials: int,
    finished: bool,
    rng: np.random.Generator,
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    study = optuna.create_study(
        storage=storage, study_name=record.name, direction="maximize", sampler=optuna.samplers.RandomSampler(0)
    )
    for number in range(trials):
        study.enqueue_trial({"text.n_ctx": [8, 4, 12, 20, 16][number % 5], "numeracy.enabled": number % 4 != 2})
        trial = study.ask(AXES)
        config = TrainConfig().with_values(dict(trial.params))
        trial.set_user_attr("config", config.flat())
        stop = 2 if number % 4 == 3 else len(splits.folds)
        if number == 5:
            trial.set_user_attr("problem", "trial 5 ran out of memory at batch size 4; lower optimizer.batch_size")
            study.tell(trial, state=TrialState.FAIL)
            continue
        if number == trials - 1 and not finished:
            continue
        skill = 0.9 + 0.5 * trial.params["numeracy.enabled"] - 0.03 * abs(trial.params["text.n_ctx"] - 12)
        results = [_fold(config, cohort, fold, skill, rng) for fold in splits.folds[:stop]]
        for result in results:
            result.save(folder / "folds" / result.key)
            if trial.params["numeracy.enabled"]:
                _maps(len(cohort.classes), np.random.default_rng(number)).save(folder / "folds" / result.key)
        trial.set_user_attr("folds", [r.key for r in results])
        predictions = pl.concat([r.predictions for r in results])
        trial.set_user_attr("log_loss", log_loss(predictions))
        if stop < len(splits.folds):
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, score(predictions, record.metric, len(cohort.classes)))
    storage.remove_session()
    storage.engine.dispose()


def _fold(config: TrainConfig, cohort: Cohort, fold: Fold, skill: float, rng: np.random.Generator) -> FoldResult:
    classes = len(cohort.classes)
    rows = []
    habits = {subject: rng.normal(0, 1.0, classes) for subject in fold.test}
    for video in cohort.of_subjects(fold.test).iter_rows(named=True):
        shift = habits[video["subject"]] + rng.normal(0, 0.4, classes)
        for window in (0, 70):
            logits = rng.normal(0, 0.4, classes) + shift + skill * np.eye(classes)[video["label"]]
            logits += 0.35 * skill * np.array([-abs(c - video["label"]) for c in range(classes)])
            probabilities = np.exp(logits) / np.exp(logits).sum()
            about = {"fold": fold.index, "subject": video["subject"], "video": video["video"], "window": window}
            rows.append(about | {"true": video["label"], "probabilities": probabilities.tolist()})
    numeracy, frame = config.numeracy.enabled, pl.DataFrame(rows)
    return FoldResult(
        key=digest([config.flat(), fold.index, sorted(cohort.classes)])[:16],
        fold=fold.index,
        config=config.flat(),
        predictions=frame,
        history=tuple(_point(epoch, epoch + 1) for epoch in range(3)),
        curve=tuple(_point(step / 10, step / 10) | {"step": step} for step in range(1, 31)),
        shuffled=_shuffled(frame, classes),
        seconds=41.5 + fold.index,
        decoded=tuple(_decoded(cohort, fold, c, rng) for c in range(classes)) if numeracy else (),
        reconstruction={p.name: float(s * 0.4) for p, s in zip(PARAMETERS, SPREADS, strict=True)} if numeracy else None,
        descriptions=_descriptions(cohort, fold) if numeracy else None,
        class_similarity=tuple(
            tuple(1.0 if a == b else 0.75 - 0.2 * abs(a - b) for b in range(classes)) for a in range(classes)
        ),
        trained_parameters=1_234_567,
    )


def _descriptions(cohort: Cohort, fold: Fold) -> FoldDescriptions:
    """Returns what a fold's words rest on: all parameters with skill, and a second class without words in the last fold."""
    skills = tuple(
        ParameterSkill(parameter=p.name, unit=p.unit, error=0.4 * s, median_error=s, skill=0.6, mixed=0.4, named=0.97)
        for p, s in zip(PARAMETERS, SPREADS, strict=True)
    )
    return FoldDescriptions(
        classes=tuple(_description(cohort, fold, label) for label in range(len(cohort.classes))),
        training=skills,
        held_out=skills,
        video=skills[:2],
        steps=100,
        penalty=1e-9,
    )


def _description(cohort: Cohort, fold: Fold, label: int) -> ClassDescription:
    name, side = cohort.classes[label], label < len(cohort.classes) / 2
    if label == 1 and fold.index == 2:
        return ClassDescription(label=name, refusal=f"{name} is not described: 2 of its training subjects have numbers")
    values = tuple(
        ClassValue(parameter=p.name, unit=p.unit, value=m + (1 if side else -1) * (k + 1) * s / 2, pooled=m, deviation=s,
                   inside=True, others=k / len(PARAMETERS))
        for k, (p, m, s) in enumerate(zip(PARAMETERS, CENTRES[label % 3], SPREADS, strict=True))
    )  # fmt: skip
    terms = tuple((p.name, side) for p in PARAMETERS[:2])
    controls = tuple(
        Control(name=control, sentence="cadence is 100 steps/min", terms=((PARAMETERS[0].name, not side),), own=0.3,
                inside=0.6, others=0.5)
        for control in CONTROLS
    )  # fmt: skip
    attention = Attention(own=0.8, chance=1 / len(cohort.classes), effective=4.2, largest=1 / 3)
    return ClassDescription(label=name, attention=attention, terms=terms, values=values, controls=controls)


def _point(place: float, epochs: float) -> dict[str, float]:
    """Returns losses, learning rate and norms that fall with the epochs done."""
    losses = {"video": 0.16 / epochs, "numeric": 1.0 / epochs, "pairing": 0.0, "anchor": 0.02 * epochs}
    return {"epoch": place, "loss": losses["video"] + 0.1 * losses["numeric"] + losses["anchor"], **losses,
            "lr": 1e-3 * (1 - epochs / 3.1), "gradient_text": 0.5 / epochs, "gradient_prompts": 1.5 / epochs}  # fmt: skip


def _shuffled(frame: pl.DataFrame, classes: int) -> pl.DataFrame:
    """Returns predictions of windows with shuffled frames: half of what is known, half of one and the same guess."""
    guess = np.random.default_rng(classes).dirichlet(np.ones(classes))
    mixed = [(0.5 * np.array(p) + 0.5 * guess).tolist() for p in frame["probabilities"]]
    return frame.with_columns(probabilities=pl.Series(mixed, dtype=pl.List(pl.Float64)))


def _maps(classes: int, rng: np.random.Generator) -> FoldMaps:
    labels = np.arange(60) % classes
    centres = rng.normal(0, 1, (classes, 8))
    numbers = np.linspace(-2.5, 2.5, 11)
    return FoldMaps(
        labels=labels,
        written=rng.normal(0, 1, (60, 16)),
        projected=centres[labels] + rng.normal(0, 0.4, (60, 8)),
        class_written=rng.normal(0, 1, (classes, 16)),
        class_projected=centres * 3,
        numbers=numbers,
        similarity=1 - 0.05 * np.abs(np.subtract.outer(numbers, numbers)),
    )


def _decoded(cohort: Cohort, fold: Fold, label: int, rng: np.random.Generator) -> DecodedClass:
    train = cohort.of_subjects(fold.train).filter(pl.col("label") == label)
    chosen = sorted({0, 1, *rng.choice(len(PARAMETERS), 2, replace=False).tolist()})
    values = []
    for index in chosen:
        parameter = PARAMETERS[index]
        low, median, high = (float(train[parameter.key].quantile(q) or 0.0) for q in (0.05, 0.5, 0.95))
        value = float(rng.normal(median, (high - low) / 3))
        values.append(
            DecodedValue(parameter=parameter.name, unit=parameter.unit, value=value, median=median, low=low, high=high)
        )
    sentence = ", ".join(f"{v.parameter} is {v.value:.3g} {v.unit}".strip() for v in values)
    return DecodedClass(label=cohort.classes[label], sentence=sentence, values=tuple(values))


if __name__ == "__main__":
    make_study(Path(sys.argv[1]), permutations=40)
