"""How Optuna draws: the samplers, a look at a space before it is searched, and when a list is at its end. No Ray."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.trial import FrozenTrial, TrialState

from search_spaces import Space
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError

STARTUP_TRIALS = 6
"""Random trials before a model of the scores is worth asking."""


class Grid(optuna.samplers.BruteForceSampler):
    """Every configuration of a space of discrete settings, once, in random order."""

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Does nothing: Optuna's sampler ends the loop of `optimize` here, and there is none."""

    def exhausted(self, study: optuna.Study) -> bool:
        """Returns whether no configuration is left that is neither finished, running nor queued."""
        trials = study.get_trials(deepcopy=False)
        finished = [t for t in trials if t.state.is_finished() and t.params]
        if not finished or any(t.state == TrialState.WAITING for t in trials):
            return False
        last = finished[-1]
        try:
            super().after_trial(study, last, last.state, last.values)
        except RuntimeError:  # it stops the study, which Optuna refuses outside `optimize`
            return True
        return False


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Returns a seeded sampler: tpe (multivariate, by groups of conditional settings), gp, random, or grid."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS
            )
        if name == "gp":
            return optuna.samplers.GPSampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        if name == "grid":
            return Grid(seed=seed)
        return optuna.samplers.RandomSampler(seed=seed)


def ask(study: optuna.Study, space: Space, reference: TrainConfig) -> tuple[optuna.Trial, TrainConfig]:
    """Returns the next trial of a study and its configuration.

    Raises:
        ConfigurationError: The space's function raises, or returns something else than a configuration.
    """
    trial = study.ask()
    try:
        with warnings.catch_warnings():
            # A number of the reference outside its range is taken as it is, which is wanted; Optuna warns of it.
            warnings.simplefilter("ignore", UserWarning)
            config = space.suggest(trial, reference)
    except Exception as error:  # the user's own code may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigurationError(
            f"--space {space.name}: {'the reference' if trial.number == 0 else 'a'} configuration cannot be drawn ({reason})",
            code="space.cannot_be_drawn",
        ) from None
    if not isinstance(config, TrainConfig):
        raise ConfigurationError(
            f"--space {space.name} returns {type(config).__name__}, but must return a TrainConfig, as "
            "reference.with_values({...}) does",
            code="space.wrong_type",
        )
    try:
        return trial, TrainConfig.from_flat(config.flat())  # a configuration made by hand is checked by its types too
    except ConfigurationError as error:
        raise ConfigurationError(f"--space {space.name}: {error}", code="space.invalid") from None


def check_space(space: Space, reference: TrainConfig, sampler: str) -> None:
    """Draws the reference and one more configuration, without running anything.

    Raises:
        ConfigurationError: The space does not hold the reference, or cannot be drawn from by this sampler.
    """
    with quiet_optuna():
        study = optuna.create_study(sampler=make_sampler(sampler, 0))
        study.enqueue_trial(space.first(reference))
        for _ in range(2):
            ask(study, space, reference)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keeps Optuna from announcing what it does on the user's screen."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
