"""The folder best: the chosen configuration with its weights and words, and the command that predicts with it."""

import shlex
from pathlib import Path
from platform.session import Session
from platform.study import Study
from platform.study_parts import refit_study

from trainables.config import TrainConfig
from trainables.errors import StridefoldError
from trainables.study.files import fold_folder, write_json, write_text
from trainables.study.leaderboard import TrialRecord
from trainables.study.records import FoldResult, trainings
from trainables.training.fold import WEIGHTS
from trainables.training.seeds import link_weights


def write_best(study: Study, trial: TrialRecord, session: Session) -> Path:
    """Fills best with what the chosen trial is and knows, and returns the folder.

    configuration.json has every setting, descriptions.json the decoded sentence of each class and fold, predict.txt the
    command; weights are fold-0.safetensors, ..., and all.safetensors where one model was asked for, with one more file for each
    further training seed.
    """
    best = study.folder / "best"
    results = {f"fold-{fold}": fold_folder(study.folder, key) for fold, key in enumerate(trial.folds)}
    if session.options.refit == "all":
        results["all"] = refit_on_everyone(study, trial, session)
    write_json(best / "configuration.json", {"trial": trial.number, "metric": study.record.metric, "value": trial.value,
                                             "backbone": study.record.backbone["name"], "settings": trial.config})  # fmt: skip
    sentences = {
        name: {words.label: words.sentence for words in FoldResult.load(folder).decoded}
        for name, folder in results.items()
    }
    write_json(best / "descriptions.json", sentences)
    for old in best.glob("*.safetensors*"):
        old.unlink()
    for name, folder in results.items():
        link_weights(folder / WEIGHTS, best / f"{name}.safetensors")
        for number, part in enumerate(trainings(folder)[1:], start=1):
            link_weights(part / WEIGHTS, best / f"{name}-training-{number}.safetensors")
    command = f"python -m platform.predict {shlex.quote(str(study.folder))} VIDEO ..."
    write_text(best / "predict.txt", command + "\n")
    return best


def refit_on_everyone(study: Study, trial: TrialRecord, session: Session) -> Path:
    """Returns the result of the chosen configuration trained on every subject; it has no score.

    Raises:
        StridefoldError: It cannot be trained, or is a baseline that keeps no weights.
    """
    config = TrainConfig.from_flat(trial.config)
    if not config.kind.network:
        raise StridefoldError(
            f"--refit all: the chosen trial is the baseline {config.model!r}, which keeps no weights",
            code="refit.baseline_chosen",
        )
    whole = refit_study(study)
    (key,) = whole.keys(config)
    if problems := session.train(whole, trial.config, {0: key}):
        raise StridefoldError(f"--refit all: {problems[0]}", code="refit.failed")
    session.describe(whole, [key])
    return fold_folder(whole.folder, key)
