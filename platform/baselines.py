"""Simpler methods on the folds of a study, to stand beside what the search has found."""

from platform.session import Session
from platform.study import Study

import polars as pl

from trainables.errors import ConfigurationError, StridefoldError
from trainables.model_kinds import FROM_NUMBERS
from trainables.study.files import fold_folder
from trainables.study.metrics import score
from trainables.study.records import Cohort, FoldResult


def check_baselines(names: tuple[str, ...], cohort: Cohort) -> None:
    """Raises a ConfigurationError where the cohort lacks what a baseline needs."""
    if (asked := [name for name in FROM_NUMBERS if name in names]) and not cohort.parameters:
        raise ConfigurationError(
            f"--baselines {asked[0]} needs numeric columns, but the cohort has none; leave it out of the list",
            code="baseline.no_numeric_columns",
        )
    if "attributes" in names and not cohort.attributes:
        raise ConfigurationError(
            "--baselines attributes needs columns that describe subjects; name them with --attribute, as --attribute age,sex,site",
            code="baseline.no_attributes",
        )


def run_baselines(study: Study, session: Session, where: str = "folds") -> Study:
    """Returns the study with the keys of each asked baseline's folds in its record; finished folds are not run again."""
    for name in session.options.baselines:
        config = session.options.reference().with_values({"model": name})
        keys = study.keys(config)
        if problems := session.train(study, config.flat(), dict(enumerate(keys))):
            raise StridefoldError(f"baseline {name}: {problems[0]}", code="baseline.failed")
        study = study.noted(baselines=study.record.baselines | {name: keys})
        predictions = pl.concat([FoldResult.load(fold_folder(study.folder, key)).predictions for key in keys])
        value = score(predictions, study.record.metric, len(study.cohort.classes))
        session.console.say(f"baseline {name} on the same {where}: {value:.3f}")
    return study
