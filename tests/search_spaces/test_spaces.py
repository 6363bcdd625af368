"""Search spaces and samplers: what is drawn is a configuration, the reference comes first, and a list ends."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from platform.options import SearchOptions
from platform.sampling import Grid, ask, check_space, make_sampler
from platform.study_options import SAMPLERS

import optuna
import pytest

from search_spaces import SHIPPED, Space, load_space
from search_spaces.ablation import VARIANTS
from search_spaces.paper import PUBLISHED
from tests.errors import coded
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError

REFERENCE = TrainConfig().with_values({"optimizer.lr": 1e-3, "text.context_init": "words"})


def study(space: Space, sampler: str = "random", seed: int = 0) -> optuna.Study:
    """Returns a new study in which the reference waits to be tried."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize", sampler=make_sampler(sampler, seed))
    made.enqueue_trial(space.first(REFERENCE))
    return made


def draw(space: Space, trials: int, sampler: str = "random", seed: int = 0) -> list[TrainConfig]:
    """Returns what so many trials are, each told a score that depends on its configuration alone."""
    asked, configs = study(space, sampler, seed), []
    for _ in range(trials):
        trial, config = ask(asked, space, REFERENCE)
        configs.append(config)
        asked.tell(trial, config.numeracy.weight - abs(config.text.n_ctx - 12) / 100)
    return configs


@pytest.mark.parametrize("name", [name for name in SHIPPED if name != "paper"])
def test_trial_0_is_the_reference(name: str) -> None:
    """Whatever the space draws, its first trial is the reference configuration, unchanged."""
    assert draw(load_space(name), 1) == [REFERENCE]


def test_the_paper_space_begins_with_what_was_published() -> None:
    """Its reference has the published value of each setting whose default is another; what the user sets still counts."""
    assert load_space("paper").settings == PUBLISHED
    assert all(TrainConfig().flat()[name] != value for name, value in PUBLISHED.items())
    options = SearchOptions(space="paper", backbone="clip")
    assert options.reference() == TrainConfig().with_values(PUBLISHED)
    assert dataclasses.replace(options, frames=8, settings={"optimizer.lr": 0.01}).reference() == (
        TrainConfig().with_values(PUBLISHED | {"video.frames": 8, "optimizer.lr": 0.01})
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_every_draw_is_a_configuration(name: str) -> None:
    """A hundred draws are allowed configurations that differ from the reference in what the space is about, and nowhere else."""
    about = {
        "smoke": ("motion.share", "motion.penalty"),
        "prompts": ("text.", "video.n_global", "video.local", "video.summary"),
        "numeracy": ("numeracy.",),
        "motion": ("motion.", "video.frames", "video.time_positions", "video.tail", "optimizer.readout_lr"),
        "optimizer": ("optimizer.",),
        "full": ("text.", "video.", "motion.", "numeracy.", "optimizer."),
        "ablation": ("text.", "video.", "motion.readout", "numeracy.enabled", "optimizer.", "model"),
        "paper": (),
    }[name]
    for config in draw(load_space(name), 100):
        changed = {key for key, value in config.flat().items() if value != REFERENCE.flat()[key]}
        assert all(key.startswith(about) for key in changed), changed


def test_settings_of_a_part_that_is_off_are_not_drawn() -> None:
    """Without knowledge there is no projector to draw, and without numeracy nothing numeric."""
    space, asked = load_space("full"), study(load_space("full"))
    for _ in range(60):
        trial, config = ask(asked, space, REFERENCE)
        drawn = set(trial.params)
        assert {"text.projector", "text.notions"} <= drawn if config.text.knowledge else "text.projector" not in drawn
        numeric = {n for n in drawn if n.startswith("numeracy.") and n not in ("numeracy.enabled", "numeracy.clip")}
        assert bool(numeric) == config.numeracy.enabled
        written_out = config.numeracy.enabled and config.numeracy.encoding in ("digits", "words")
        assert ("numeracy.clip" in drawn) == written_out
        assert ("motion.penalty" in drawn) == (config.motion.readout == "statistics")


def test_an_ablation_is_every_variant_once_and_then_ends() -> None:
    """The grid tries the reference, then each variant once, and knows that nothing is left."""
    space = load_space("ablation")
    asked, seen = study(space, "grid"), []
    assert space.cells == len(VARIANTS)
    while not (isinstance(asked.sampler, Grid) and asked.sampler.exhausted(asked)):
        trial, _ = ask(asked, space, REFERENCE)
        seen.append(trial.params["ablation"])
        asked.tell(trial, 0.5)
        assert len(seen) <= len(VARIANTS)
    assert seen[0] == "full"
    assert sorted(seen) == sorted(VARIANTS)


@pytest.mark.parametrize("sampler", SAMPLERS[:3])
def test_the_same_seed_gives_the_same_trials(sampler: str) -> None:
    """One after the other, trials depend on the seed alone; another seed gives others."""
    space = load_space("smoke")
    assert draw(space, 12, sampler, 1) == draw(space, 12, sampler, 1)
    assert draw(space, 12, sampler, 1)[1:] != draw(space, 12, sampler, 2)[1:]


def test_a_reference_outside_the_range_is_tried_as_it_is() -> None:
    """A number that the user set stands in trial 0 even where the space would not draw it."""
    space, reference = load_space("prompts"), REFERENCE.with_values({"text.n_ctx": 10})
    asked = optuna.create_study(sampler=make_sampler("random", 0))
    asked.enqueue_trial(space.first(reference))
    assert ask(asked, space, reference)[1] == reference


def write(folder: Path, text: str) -> str:
    """Returns --space of a user's own file."""
    file = folder / "my_space.py"
    file.write_text(text)
    return f"{file}:suggest"


def test_a_users_own_space(tmp_path: Path) -> None:
    """A file and function are a space like any other."""
    name = write(
        tmp_path,
        "def suggest(trial, reference):\n    return reference.with_values({'seed': trial.suggest_int('seed', 0, 9)})\n",
    )
    space = load_space(name)
    check_space(space, REFERENCE, "grid")
    assert draw(space, 1) == [REFERENCE]
    assert len({config.seed for config in draw(space, 30)}) > 5


@pytest.mark.parametrize(
    ("text", "sampler", "code"),
    [
        ("def suggest(trial, reference):\n    return {}\n", "tpe", "space.wrong_type"),
        ("def suggest(trial, reference):\n    1 / 0\n", "tpe", "space.cannot_be_drawn"),
        (
            "def suggest(trial, reference):\n    w = trial.suggest_float('numeracy.weight', 0, 1)\n"
            "    return reference.with_values({'numeracy.weight': w})\n",
            "grid",
            "space.cannot_be_drawn",
        ),
        (
            "def suggest(trial, reference):\n    b = trial.suggest_categorical('text.bottleneck', [16, 32])\n"
            "    return reference.with_values({'text.bottleneck': b})\n",
            "tpe",
            "space.cannot_be_drawn",
        ),
    ],
)
def test_a_space_that_cannot_be_searched_is_known_before(tmp_path: Path, text: str, sampler: str, code: str) -> None:
    """What is wrong with a space, or with a sampler for it, is one sentence that names the space."""
    with pytest.raises(ConfigurationError, check=coded(code, "my_space.py")):
        check_space(load_space(write(tmp_path, text)), REFERENCE, sampler)


@pytest.mark.parametrize(
    ("make", "code", "value"),
    [
        (lambda folder: "huge", "space.unknown", "--space huge"),
        (lambda folder: f"{folder}/none.py:suggest", "space.no_file", "none.py"),
        (lambda folder: write(folder, "import nothing_of_this_name\n"), "space.not_importable", "nothing_of_this_name"),
        (lambda folder: write(folder, "x = 1\n"), "space.no_function", "'suggest'"),
    ],
)
def test_a_space_that_is_not_there(tmp_path: Path, make: Callable[[Path], str], code: str, value: str) -> None:
    """A wrong name, file or function is one sentence."""
    with pytest.raises(ConfigurationError, check=coded(code, value)):
        load_space(make(tmp_path))
