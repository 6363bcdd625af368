"""Words of the page for what the code calls otherwise."""

from reports.wording import BASELINES, EXPLAINED_BASELINES, MODELS, SETTINGS
from trainables.config import TrainConfig
from trainables.model_kinds import BASELINES as KNOWN_BASELINES
from trainables.model_kinds import KINDS


def test_every_setting_has_words() -> None:
    """A setting that a space draws is named in words, whichever it is."""
    assert set(SETTINGS) == set(TrainConfig().flat())


def test_every_kind_of_model_has_words() -> None:
    """So do the method and its baselines."""
    assert set(MODELS) == set(KINDS)
    assert set(BASELINES) == set(EXPLAINED_BASELINES) == set(KNOWN_BASELINES)
