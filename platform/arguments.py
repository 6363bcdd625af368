"""The command line of `python -m platform.search`."""

import argparse
from functools import partial
from os.path import abspath, expanduser, isdir  # a shell leaves the ~ of --cohort=~/cohort.csv as it is
from platform.cohort_arguments import add_cohort_options, names, parse_column
from platform.config_file import as_defaults, merged, read_config
from platform.options import REFITS, SAMPLERS, SearchOptions
from platform.run_options import add_run_options

from reports.wording import BASELINES as BASELINES_IN_WORDS
from search_spaces import SHIPPED
from trainables.config import TrainConfig
from trainables.errors import ConfigurationError
from trainables.model_kinds import BASELINES
from trainables.study.vocabulary import COSTS, READERS, RULES, parse_metric


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


def model_path(text: str, *, embedded: str) -> str:
    """Returns a model's folder as an absolute path, which a worker elsewhere finds too; a hub id or the embedded one as it is."""
    path = expanduser(text)
    folder = path if isdir(path) else path.rpartition("#")[0]  # a knowledge encoder's pooling may follow
    return abspath(path) if text != embedded and isdir(folder) else text


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, but not those that say nothing."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default is None or action.default is False or action.default in ("", [], ())
        return action.help if silent else super()._get_help_string(action)


def _folds(text: str) -> int:
    return 0 if text == "subjects" else int(text)


def search_parser() -> argparse.ArgumentParser:
    """Returns the parser; every option says its default."""
    parser = argparse.ArgumentParser(
        prog="python -m platform.search",
        formatter_class=_Help,
        description="Searches configurations of the knowledge-augmented video CLIP over subject-wise folds of a cohort,\n"
        "decodes what each class has learned, and writes a report. The same command continues a study that was stopped.",
    )
    default = SearchOptions()
    for add in (
        add_cohort_options,
        _study_options,
        _search_options,
        _evaluation_options,
        _training_options,
        _machine_options,
        add_run_options,
    ):
        add(parser, default)
    return parser


def _study_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    group = parser.add_argument_group("study")
    group.add_argument(
        "--study", type=expanduser, help="name of the study, or its folder; none: made from cohort and label"
    )
    group.add_argument("--studies", type=expanduser, default=default.studies, help="folder of all studies")
    group.add_argument("--seed", type=int, default=default.seed, help="seed of splits, sampler and training")
    group.add_argument("--split-seed", type=int, metavar="SEED", help="seed of the folds alone (default: --seed)")
    group.add_argument("--sampler-seed", type=int, metavar="SEED", help="seed of Optuna alone (default: --seed)")
    group.add_argument(
        "--training-seeds",
        type=int,
        metavar="N",
        default=default.training_seeds,
        help="train each fold N times with other seeds, average the probabilities, and show the spread",
    )


def _search_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    group = parser.add_argument_group("search")
    group.add_argument(
        "--space", type=expanduser, default=default.space, help=f"{', '.join(SHIPPED)}, or my_space.py:suggest"
    )
    group.add_argument(
        "--trials",
        type=int,
        help="configurations in all, the reference first; none: all of a space that is a list (ablation, paper), else 8",
    )
    group.add_argument(
        "--sampler", choices=SAMPLERS, help="how Optuna draws; none: grid for a space that is a list, else tpe"
    )
    group.add_argument(
        "--metric",
        default=default.metric,
        help="macro_f1, balanced_accuracy, accuracy or quadratic_kappa, at subject/, video/ or window/ level",
    )
    group.add_argument(
        "--cost", choices=COSTS, help="a second objective, to be small: the report then shows the Pareto front"
    )
    group.add_argument(
        "--choose",
        choices=RULES,
        default=default.choose,
        help="best score, or one_se: the cheapest configuration within one standard error of it",
    )
    group.add_argument(
        "--refit",
        choices=REFITS,
        default=default.refit,
        help="what predicts: folds, the mean of the chosen configuration's folds; or all, one model trained again on every subject",
    )
    group.add_argument(
        "--prune",
        type=float,
        metavar="P",
        default=default.prune,
        help="stop a trial after a fold when its subjects' scores are below the best trial's at this p-value (Wilcoxon); "
        "0 is never; never with --cost or --choose one_se",
    )
    group.add_argument(
        "--concurrency",
        type=int,
        default=default.concurrency,
        help="trials side by side at most; 0: as many as the CPUs, GPUs and memory hold that this process may use",
    )


def _evaluation_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    group = parser.add_argument_group("evaluation")
    group.add_argument(
        "--folds",
        type=_folds,
        default=default.folds,
        help="subject-wise folds of each trial; 'subjects' leaves one subject out at a time",
    )
    group.add_argument("--repeats", type=int, default=default.repeats, help="times the folds are drawn again")
    group.add_argument(
        "--fold-column", metavar="COLUMN", help="column that names the fold in which a subject is held out"
    )
    group.add_argument("--fold", type=int, metavar="K", help="run fold K alone, from 0, to try something out")
    group.add_argument(
        "--outer-folds",
        type=int,
        default=default.outer_folds,
        help="nested cross-validation: the whole search is run again without each outer fold's subjects, who are scored "
        "once by its choice; 0 is off",
    )
    group.add_argument(
        "--learning-curve",
        action=argparse.BooleanOptionalAction,
        default=default.learning_curve,
        help="train the chosen configuration on 0.4, 0.6 and 0.8 of each fold's training subjects too: would more patients help?",
    )
    group.add_argument(
        "--coverage",
        type=float,
        metavar="SHARE",
        default=default.coverage,
        help="share of new people whose prediction set is to hold their true class; sets are calibrated by the outer folds",
    )
    group.add_argument(
        "--baselines",
        type=names,
        metavar="A,B",
        default=",".join(default.baselines),
        help="simpler methods on the same folds, compared subject by subject: none, or some of "
        + ", ".join(f"{name} ({BASELINES_IN_WORDS[name]})" for name in BASELINES),
    )
    group.add_argument(
        "--permutations",
        type=int,
        default=default.permutations,
        help="times the whole search is run again on permuted subject labels, as a control",
    )
    group.add_argument(
        "--permutation-trials", type=int, help="trials of each of those searches; none: as many as the search has"
    )


def _training_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    group = parser.add_argument_group("training")
    group.add_argument(
        "--epochs",
        type=int,
        help="train for this many passes over the training windows instead of for optimizer.steps steps",
    )
    group.add_argument(
        "--prompts-from",
        metavar="FILE",
        help="start from the video prompts of a published Vita-CLIP checkpoint (.pth or .safetensors), read as weights only",
    )
    group.add_argument("--frames", type=int, help="frames that the prompted tower takes from a window (default: 16)")
    group.add_argument(
        "--backbone",
        type=partial(model_path, embedded="small"),
        default=default.backbone,
        help="small (embedded), or a CLIP's Hugging Face folder or hub id",
    )
    group.add_argument(
        "--knowledge-encoder",
        type=partial(model_path, embedded="clip"),
        default=default.knowledge_encoder,
        help="clip, or a Hugging Face encoder's folder or hub id",
    )
    group.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any setting of trainables/config.py, as optimizer.lr=0.001; repeat for more",
    )


def _machine_options(parser: argparse.ArgumentParser, default: SearchOptions) -> None:
    group = parser.add_argument_group("machine")
    group.add_argument(
        "--address",
        default=default.address,
        help="local, auto (the cluster that this machine belongs to), or a Ray address",
    )
    group.add_argument(
        "--workers", type=int, default=default.workers, help="Ray Train workers of one trial; they share each batch"
    )
    group.add_argument(
        "--cpus-per-worker", type=int, help="CPUs of a worker (default: a GPU's share of its machine's, 1 without GPUs)"
    )
    group.add_argument(
        "--gpus-per-worker",
        type=float,
        help="GPUs of a worker; a fraction shares one (default: 1 where there are any, else 0)",
    )
    group.add_argument(
        "--cache", type=expanduser, default=default.cache, help="folder of decoded frames; none: ~/.cache/stridefold"
    )
    group.add_argument(
        "--reader",
        choices=READERS,
        default=default.reader,
        help="what decodes videos; decord runs in a process of its own, checked against PyAV, and reads MP4 only",
    )
    group.add_argument(
        "--plain", action=argparse.BooleanOptionalAction, default=False, help="plain lines, also on a terminal"
    )
