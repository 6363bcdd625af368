"""Makes the folder of a model that is given away, packs it, and uploads it."""

import dataclasses
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reports.documents.model_card import model_card
from reports.documents.pseudonyms import pseudonymised
from reports.numbers.analysis import Analysis, analyse
from reports.numbers.descriptions import ClassWords, Sentence, Words
from reports.numbers.statistics import Score
from trainables.data.cache_folder import open_frames
from trainables.errors import ConfigurationError, StridefoldError
from trainables.inference.ensemble import Ensemble, open_ensemble
from trainables.inference.exported import Estimate, ModelRecord, exported_folds, given_away, write_model
from trainables.inference.likeness import Likeness, training_likeness
from trainables.model.backbone import load_backbone
from trainables.study.files import write_text
from trainables.study.vocabulary import parse_metric, tracker_of

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)")
"""A hub model's folder in the cache of huggingface_hub."""
WHEN = (1980, 1, 1, 0, 0, 0)
"""Time of every file of a zip, so that the same model gives the same bytes."""
LICENSE_NOTE = """\
# Licence

Which licence this model has is for those to say who trained it, and depends on what was agreed with the people in the videos and
with the hospital. Until `license` in the head of README.md says more than 'other', nobody may use it.

The weights here are those that were trained. The frozen backbone is not among them: it comes from where README.md says, under its
own licence.
"""


@dataclass(frozen=True, kw_only=True)
class Export:
    """What an export was asked to do. Each field is an argument or option of the same name."""

    study: Path
    destination: Path
    zip: bool = False
    cache: str = ""
    name: str = ""
    backbone_id: str = ""
    push_to_hub: str = ""

    def __post_init__(self) -> None:
        if self.destination.exists() and (self.destination.is_file() or any(self.destination.iterdir())):
            raise ConfigurationError(
                f"{self.destination} exists already; give a new folder, or delete it first", code="output.exists"
            )
        packed = self.folder.with_name(f"{self.folder.name}.zip")
        if self.packs and packed.exists():
            raise ConfigurationError(
                f"{packed} exists already; give a new name, or delete it first", code="output.exists"
            )
        if self.backbone_id and not HUB_ID.fullmatch(self.backbone_id):
            raise ConfigurationError(
                f"--backbone-id {self.backbone_id} is not a hub id, as openai/clip-vit-base-patch16",
                code="export.backbone_id",
            )

    @property
    def packs(self) -> bool:
        """Returns whether a zip is wanted."""
        return self.zip or self.destination.suffix == ".zip"

    @property
    def folder(self) -> Path:
        """Returns the folder, or the name that it would have where only a zip is wanted."""
        return self.destination.with_suffix("") if self.destination.suffix == ".zip" else self.destination


def export_model(asked: Export) -> Iterator[str]:
    """Writes the folder or the zip, uploads it where that was asked for, and yields a line on each.

    Raises:
        StridefoldError: The study is not finished, has no model that predicts, or the upload has no token or is refused.
    """
    if asked.push_to_hub:
        require_token(asked.push_to_hub)
    ensemble = open_ensemble(asked.study)
    if ensemble.record.finished is None:
        raise StridefoldError(
            f"the search of {asked.study} has not ended; run its command to the end, then export it",
            code="export.search_not_ended",
        )
    name = asked.name or asked.folder.name
    analysis = pseudonymised(analyse(asked.study), asked.study)
    backbone = ensemble.record.backbone | {"name": hub_id(ensemble.record.backbone["name"], asked.backbone_id)}
    analysis = dataclasses.replace(
        analysis,
        study=dataclasses.replace(
            analysis.study, name=name, backbone=backbone, git="", versions=released(ensemble.record.versions)
        ),
    )
    asked.folder.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f".{asked.folder.name}-", dir=asked.folder.parent))
    try:
        model = model_record(ensemble, analysis, name, asked.cache)
        write_model(making, ensemble, model)
        given = {
            f: {d.label: d.sentence for d in out.decoded} for f, out in zip(ensemble.folds, model.folds, strict=True)
        }
        shown = dataclasses.replace(analysis, words=given_words_alone(analysis.words, given))
        write_text(making / "README.md", model_card(shown, exported=True))
        write_text(making / "LICENSE-NOTE.md", LICENSE_NOTE)
        making.chmod(0o755)
        if asked.packs:
            yield f"written: {pack(making, asked.folder)}"
        if asked.destination.suffix != ".zip":
            if asked.folder.exists():
                asked.folder.rmdir()  # it is empty
            os.rename(making, asked.folder)
            yield f"written: {asked.folder}"
        if asked.push_to_hub:
            yield f"uploaded: {push(asked.folder if asked.folder.exists() else making, asked.push_to_hub)}"
    finally:
        shutil.rmtree(making, ignore_errors=True)
    yield needs(backbone)


def model_record(ensemble: Ensemble, analysis: Analysis, name: str, cache: str) -> ModelRecord:
    """Returns what model.json says.

    Args:
        analysis: Of the study, without the names of people and files.
        name: Of the model.
        cache: Folder of decoded frames, next to which the training videos' features lie; '' is the usual one.
    """
    record, found = ensemble.record, analysis.results
    calibrated = found.calibration if found is not None else None
    shown = ("expected_error", "brier", "log_loss")
    return ModelRecord(
        name=name,
        metric=record.metric,
        simulated=ensemble.cohort.simulated,
        subjects=ensemble.subjects,
        trial=ensemble.trial.number,
        score=ensemble.trial.value,
        config=given_away(ensemble.config),
        whole=ensemble.refitted,
        folds=exported_folds(ensemble),
        backbone=analysis.study.backbone,
        knowledge_encoder=hub_id(record.options.get("knowledge_encoder", "clip"), ""),
        tracker=tracker_of(record.options),
        tracking=record.tracking,
        training_version=record.training_version,
        code=record.code,
        versions=analysis.study.versions,
        estimate=estimate(analysis),
        likeness=likeness_of(ensemble, cache),
        sets=None if analysis.sets is None else analysis.sets.record,
        calibration=None if calibrated is None else {key: getattr(calibrated, key) for key in shown},
    )


def released(versions: Mapping[str, str]) -> dict[str, str]:
    """Returns versions without what hatch-vcs adds to stridefold's own: a commit, and a day where the checkout had changes."""
    return {name: version.partition("+")[0] if name == "stridefold" else version for name, version in versions.items()}


def given_words_alone(words: Words, given: Mapping[int, Mapping[str, str]]) -> Words:
    """Returns a study's words for the card of its model: no number of a class but those that the model itself gives away.

    Args:
        words: Of the study.
        given: The sentences that go along, by fold and label.
    """

    def of_class(one: ClassWords) -> ClassWords:
        sentences = (
            Sentence(fold=s.fold, parts=((given[s.fold][one.label], False),), values=())
            for s in one.sentences
            if one.label in given.get(s.fold, {})
        )
        evidence = one.evidence and dataclasses.replace(one.evidence, sentence="", differences=())
        return dataclasses.replace(one, sentences=tuple(sentences), evidence=evidence)

    return dataclasses.replace(words, classes=tuple(map(of_class, words.classes)))


def likeness_of(ensemble: Ensemble, cache: str) -> Likeness | None:
    """Returns where the training videos lie; None where the backbone or their features are not at hand."""
    try:
        backbone = load_backbone(ensemble.record.backbone["name"])
    except ConfigurationError:
        return None
    return training_likeness(backbone, ensemble.cohort, open_frames(cache), ensemble.config.video.window)


def estimate(analysis: Analysis) -> Estimate | None:
    """Returns the study's own estimate of how well its model does: the nested one, else the score that the search chose by."""
    nested, found, metric = analysis.nested, analysis.results, analysis.study.metric
    if nested is not None and nested.estimate is not None:
        return _estimate("nested", metric, nested.estimate)
    if found is None:
        return None
    level, name = parse_metric(metric)
    scores = next(one.scores for one in found.levels if one.level == level)
    return _estimate("selection", metric, next(s for s in scores if s.metric == name))


def _estimate(kind: str, metric: str, score: Score) -> Estimate:
    return Estimate(kind=kind, metric=metric, value=score.value, low=score.low, high=score.high, chance=score.chance)


def hub_id(name: str, given: str) -> str:
    """Returns the hub id of a model that a study names by its id or its folder; '' where it has none."""
    if given or name in ("small", "clip"):
        return given or name
    if found := CACHED.search(name):
        return f"{found[1]}/{found[2]}"
    return name if HUB_ID.fullmatch(name) and not Path(name).exists() else ""


def needs(backbone: dict[str, Any]) -> str:
    """Returns a line on the frozen backbone, which is not in the folder."""
    name, sha256 = backbone["name"], backbone["sha256"]
    if name == "small":
        return "needs: stridefold, which has the backbone 'small'"
    if name:
        return f"needs: the backbone {name} of the Hugging Face hub (sha256 {sha256})"
    return f"needs: the backbone with sha256 {sha256}, whose hub id is not known; name it with --backbone-id"


def pack(folder: Path, named: Path) -> Path:
    """Writes a folder's files into NAMED.zip, under its name, and returns the path."""
    path = named.with_name(f"{named.name}.zip")
    making = path.with_name(f".{path.name}.part")
    try:
        with zipfile.ZipFile(making, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(p for p in folder.rglob("*") if p.is_file()):
                entry = zipfile.ZipInfo(f"{named.name}/{file.relative_to(folder).as_posix()}", WHEN)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                archive.writestr(entry, file.read_bytes())
        os.replace(making, path)
    finally:
        making.unlink(missing_ok=True)
    return path


def require_token(name: str) -> None:
    """Passes where the hub's library finds a token to upload with.

    Raises:
        ConfigurationError: It finds none.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise ConfigurationError(
            f"--push-to-hub {name} needs a token of the Hugging Face hub, and there is none; run `hf auth login` or set HF_TOKEN "
            "(nothing was written or uploaded)",
            code="export.no_token",
        )


def push(folder: Path, name: str) -> str:
    """Uploads a folder as a private repository of the Hugging Face hub, and returns its address.

    Raises:
        StridefoldError: The hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, HTTPError  # HTTPError: of whichever library it talks with

    api = HfApi()
    try:
        repository = api.create_repo(name, private=True, exist_ok=True)
        if api.model_info(repository.repo_id).private is False:  # it was there before
            raise StridefoldError(
                f"--push-to-hub {name}: that repository is public; make it private first, or name another one",
                code="export.public_repository",
            )
        api.upload_folder(repo_id=repository.repo_id, folder_path=folder, commit_message="Upload a stridefold model")
    except (HTTPError, HFValidationError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StridefoldError(
            f"--push-to-hub {name}: the hub did not take the model ({reason}); the folder is whole, so `hf auth login` and "
            f"`hf upload {name} {folder}` can be tried later",
            code="export.push_refused",
        ) from None
    return str(repository)
