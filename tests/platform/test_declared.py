"""Each option of a search is declared once: its field gives the parser, the file, Python and what may change."""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from platform.arguments import search_parser
from platform.config_file import NAME, read_config, write_config
from platform.declared import Declaration, add_options, declarations, group_titles, option
from platform.library import options_from
from platform.options import SearchOptions

import pytest

from trainables.errors import StridefoldError


@dataclass(frozen=True, kw_only=True)
class Few:
    """Options of every kind."""

    count: int | None = option(group="first", help="a number")
    share: float = option(0.5, group="first", metavar="P", help="a share", when_continued="recorded")
    names: tuple[str, ...] = option((), group="second", help="some names")
    quiet: bool = option(False, group="second", help="say nothing", when_continued="free")
    place: str = option("", group="second", path=True, flag="where", help="a folder")


def test_a_field_is_an_option_of_the_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its type reads the text, its default stands, and its group shows it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    parser = argparse.ArgumentParser()
    for title in group_titles(Few):
        add_options(parser.add_argument_group(title), Few)
    given = vars(parser.parse_args(["--count", "3", "--names", "a", "--names", "b", "--no-quiet", "--where", "~/x"]))
    assert given == {"count": 3, "share": 0.5, "names": ["a", "b"], "quiet": False, "place": str(tmp_path / "x")}
    assert [group.title for group in parser._action_groups[2:]] == ["first", "second"]


def test_every_option_of_a_search_is_declared() -> None:
    """No field without a declaration, and no option of the parser without a field, but --config, which gives others."""
    fields = [field.name for field in dataclasses.fields(SearchOptions)]
    assert list(declarations(SearchOptions)) == fields
    assert {action.dest for action in search_parser()._actions} - set(fields) == {"help", "config"}


def test_what_may_change_when_a_study_is_continued() -> None:
    """What decides results is the study's identity; what grows is in its record; where and how it runs leaves no trace."""
    options = SearchOptions()
    same, recorded = options.identity(), options.recorded()
    assert {"cohort", "label", "folds", "seed", "space", "metric", "settings", "backbone"} <= set(same)
    assert {"trials", "outer_folds", "permutations", "workers"} <= set(recorded)
    free = set(declarations(options)) - set(same) - set(recorded)
    assert {"address", "cache", "plain", "dry_run", "mlflow"} <= free
    assert not set(same) & set(recorded)


def test_words_and_choices_are_the_same_everywhere(tmp_path: Path) -> None:
    """'subjects' and 'none' are read from a command line, a file and Python; a wrong choice is refused by its code."""
    path = tmp_path / "some.toml"
    path.write_text('folds = "subjects"\nbaselines = "none"\n')
    assert read_config(path) == {"folds": 0, "baselines": ()}
    from_python = options_from({"folds": "subjects", "baselines": "none"})
    assert (from_python.folds, from_python.baselines) == (0, ())
    for name, about in declarations(SearchOptions).items():
        if about.choices:
            with pytest.raises(StridefoldError) as wrong:
                options_from({name: "of no such kind"})
            assert wrong.value.code == "option.choice"


def test_an_option_of_one_run_is_not_kept(tmp_path: Path) -> None:
    """A study's file does not make each of its runs a dry one."""
    options = dataclasses.replace(SearchOptions(), dry_run=True)
    write_config(tmp_path, options, options.reference())
    assert "dry-run" not in (tmp_path / NAME).read_text()
    assert isinstance(declarations(options)["dry_run"], Declaration)
    assert declarations(options)["dry_run"].one_run
