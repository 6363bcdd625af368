"""The command line of `python -m platform.search`."""

import argparse
from platform.cohort_arguments import parse_column
from platform.config_file import as_defaults, merged, read_config
from platform.declared import add_options, group_titles
from platform.options import SearchOptions
from platform.run_options import add_config_option

from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.study.vocabulary import parse_metric


def parse_search(arguments: list[str] | None = None) -> SearchOptions:
    """Returns the options of a command line; --help and a wrong line end the program as argparse does."""
    parser = search_parser()
    given = vars(parser.parse_args(arguments))
    file = read_config(path) if (path := given.pop("config")) else {}
    if file:
        as_defaults(parser, file)
        given = vars(parser.parse_args(arguments))
        del given["config"]
    given["metric"] = "/".join(parse_metric(given["metric"]))
    given["settings"] = TrainConfig.checked(dict(parse_setting(text) for text in given["settings"]))
    given["column"] = dict(parse_column(text) for text in given["column"])
    given = merged(given, file)
    for name in ("parameter", "ignore", "allow_duplicate"):
        given[name] = tuple(given[name])
    given["attribute"] = tuple(name for names in given["attribute"] for name in names)
    return SearchOptions(**given)


def parse_setting(text: str) -> tuple[str, str]:
    """Returns ('optimizer.lr', '0.001') of 'optimizer.lr=0.001'; the type of the setting says what the value is."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigurationError(
            f"--set {text} is not NAME=VALUE, as in --set optimizer.lr=0.001", code="option.set.syntax"
        )
    return name.strip(), value


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, but not those that say nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default is None or action.default is False or action.default in ("", [], ())
        return action.help if silent else super()._get_help_string(action)


def search_parser() -> argparse.ArgumentParser:
    """Returns the parser; every option says its default."""
    parser = argparse.ArgumentParser(
        prog="python -m platform.search",
        formatter_class=_Help,
        description="Searches configurations of the knowledge-augmented video CLIP over subject-wise folds of a cohort,\n"
        "decodes what each class has learned, and writes a report. The same command continues a study that was stopped.",
    )
    for title in group_titles(SearchOptions):
        group = parser.add_argument_group(title)
        if title == "run":
            add_config_option(group)
        add_options(group, SearchOptions)
    return parser
