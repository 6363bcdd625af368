"""Settings are checked by their types, whoever gives them: a command line, a search space, or a study's own record."""

import dataclasses
from pathlib import Path
from platform.arguments import parse_search
from platform.sampling import check_space
from platform.search import main
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces import Space
from tests.errors import coded
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.setting_types import checked, settings_of


def parsed(*settings: str) -> dict[str, object]:
    """Returns what a command line with `--set` gives."""
    return parse_search([word for setting in settings for word in ("--set", setting)]).settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("video.local=False", False),
        ("video.local=no", False),
        ("video.local=OFF", False),
        ("video.local=0", False),
        ("video.local=true", True),
        ("video.local= yes ", True),
        ("text.n_ctx=8", 8),
        ("text.n_ctx=8.0", 8),
        ("text.n_ctx=+8", 8),
        ("decoder.steps=1e3", 1000),
        ("optimizer.lr=.001", 0.001),
        ("optimizer.lr=1e-3", 0.001),
        ("optimizer.lr=1", 1.0),
        ("optimizer.lr=5.", 5.0),
        ("text.context_init=words", "words"),
        ("seed=3", 3),
    ],
)
def test_text_is_read_as_the_type_of_its_setting(text: str, value: object) -> None:
    """Booleans in the words that people use, and numbers as they write them, come out as the type of the field."""
    (found,) = parsed(text).values()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("video.local=maybe", "video.local is 'maybe', but must be true or false"),
        ("video.local=2", "video.local is '2', but must be true or false"),
        ("text.n_ctx=8.5", "text.n_ctx is '8.5', but must be a whole number"),
        ("text.n_ctx=true", "text.n_ctx is 'true', but must be a whole number"),
        ("text.n_ctx=", "text.n_ctx is '', but must be a whole number"),
        ("seed=x", "seed is 'x', but must be a whole number"),
        ("seed=-1", "seed is -1, but must be 0 to 2147483647"),
        ("optimizer.lr=fast", "optimizer.lr is 'fast', but must be a number"),
        ("optimizer.lr=nan", "optimizer.lr is 'nan', but must be a number"),
        ("optimizer.lr=1e999", "optimizer.lr is '1e999', but must be a number"),
        ("optimizer.lr=0,001", "must be a number; write numbers without commas and with a decimal point"),
        ("optimizer.epochs=1,000", "must be a whole number; write numbers without commas"),
        ("optimizer.lr=[0.1]", "optimizer.lr is '[0.1]', but must be a number"),
        ("optimizer.precision=fp16", "optimizer.precision is 'fp16', but must be one of auto, float32, bf16"),
        ("text.context_init=8", "text.context_init is '8', but must be one of zeros, normal, words"),
        ("text.nctx=8", "'text.nctx' is not a setting (did you mean text.n_ctx?)"),
        ("text=8", "'text' is not a setting"),
    ],
)
def test_a_value_that_does_not_fit_is_one_sentence(
    text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command ends with status 1, says the setting, the value and what is allowed, and has begun nothing."""
    assert main(["--set", text, "--studies", str(tmp_path / "studies")]) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize("name", settings_of(TrainConfig))
def test_every_setting_says_no_to_another_type_and_reads_its_own_text(name: str) -> None:
    """A field that is added later is checked by its annotation alone; its default, written as text, is its default."""
    default = TrainConfig().flat()[name]
    assert TrainConfig.checked({name: default}) == {name: default}
    text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
    assert TrainConfig.checked({name: text}) == {name: default}
    if settings_of(TrainConfig)[name] is not str:
        for wrong in ({"a": object()}, object(), "neither this nor that"):
            with pytest.raises(ConfigurationError, check=coded("setting.type", name)):
                TrainConfig.checked({name: wrong})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Later:
    """Kinds of settings that a later section may have."""

    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 0.5)
    limit: int | None = None
    modes: tuple[Literal["a", "b"], ...] = ("a",)
    weights: dict[str, float] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("sizes", "4, 8", (4, 8)),
        ("sizes", "[4, 8]", (4, 8)),
        ("sizes", [4, 8.0], (4, 8)),
        ("sizes", "", ()),
        ("pair", "3,0.25", (3, 0.25)),
        ("limit", "none", None),
        ("limit", "7", 7),
        ("modes", "a,b", ("a", "b")),
        ("weights", '{"x": 1}', {"x": 1.0}),
    ],
)
def test_lists_pairs_and_what_may_be_none(name: str, value: object, expected: object) -> None:
    """Lists are written with commas or as JSON, and each of their values is checked."""
    assert checked(name, value, settings_of(Later)[name]) == expected


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("sizes", "4,x", "a list, each of it a whole number"),
        ("sizes", 4, "a list"),
        ("pair", "1", "a list of 2"),
        ("limit", "some", "a whole number or none"),
        ("modes", "a,c", "a list, each of it one of a, b"),
        ("weights", "1", "a JSON object"),
    ],
)
def test_lists_that_do_not_fit(name: str, value: object, allowed: str) -> None:
    """What is allowed is said of the list and of each of its values."""
    with pytest.raises(ConfigurationError, check=coded("setting.type", name, allowed)):
        checked(name, value, settings_of(Later)[name])


def test_numbers_of_numpy_become_plain_ones() -> None:
    """What a space draws with numpy is a plain number in the configuration, which is written as JSON."""
    flat = TrainConfig().with_values(
        {"text.n_ctx": np.int64(4), "optimizer.lr": np.float32(0.5), "video.local": np.True_}
    )
    assert [type(flat.flat()[n]) for n in ("text.n_ctx", "optimizer.lr", "video.local")] == [int, float, bool]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60), st.booleans())
def test_what_is_written_is_read_back(number: float, whole: int, flag: bool) -> None:
    """Text of a number or a truth is that number or truth."""
    assert checked("x", repr(number), float) == number
    assert checked("x", str(whole), int) == whole
    assert checked("x", str(flag), bool) is flag


def test_a_space_that_makes_its_configuration_by_hand_is_checked_too() -> None:
    """dataclasses.replace goes past `with_values`; a wrong type is said before anything is trained."""

    def suggest(trial: object, reference: TrainConfig) -> TrainConfig:
        return dataclasses.replace(reference, text=dataclasses.replace(reference.text, n_ctx=8.5))  # type: ignore[arg-type]

    with pytest.raises(ConfigurationError, check=coded("space.invalid", "--space mine", "text.n_ctx", "8.5")):
        check_space(Space(name="mine", suggest=suggest), TrainConfig(), "tpe")  # type: ignore[arg-type]
