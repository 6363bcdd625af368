"""The model card of a study: what the chosen model is, how far it may be trusted, and what it must not be used for.

Markdown with a front matter in YAML, as the Hugging Face hub reads it. Names of subjects, videos and folders stay out of it.
"""

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from reports.documents.model_card_words import evidence_lines, sets_lines, skill_line
from reports.numbers.analysis import Analysis, Results
from reports.numbers.comparisons import Comparison
from reports.numbers.descriptions import ClassWords
from reports.numbers.statistics import Level, Score
from reports.numbers.subgroups import Subgroups
from reports.wording import BASELINES, METRICS, MODELS, metric, sentence
from trainables.model_kinds import FROM_NUMBERS, KINDS
from trainables.study.vocabulary import parse_metric

_TEXTS: dict[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
HUB_METRICS = {"macro_f1": "f1"}
"""Names that the hub knows a metric by; the others keep their own."""
MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$@{}^]|:(?=//)|(?<=www)\.")
"""What Markdown, its tables, HTML or automatic links could take for more than text."""
NOTICE, SIMULATED = _TEXTS["notice"], _TEXTS["simulated"]


def model_card(analysis: Analysis, *, exported: bool = False) -> str:
    """Returns the card as Markdown; the same study gives the same text.

    Args:
        analysis: Of the study.
        exported: Whether the card stands beside a model that is given away: it then names no study, and no hash of the cohort.

    Scores come from the nested estimate where there is one, and are called selection scores where there is none. Before a
    configuration has finished every fold the card says so and has no score. Names that the user gave are shown as
    text, whatever they are made of.
    """
    found = analysis.results
    sections = [_what(analysis), _TEXTS["use"], _data(analysis)]
    if found is None:
        sections.append(
            f"## Evaluation\n\nNo configuration has finished all {len(analysis.splits.folds)} folds yet, so there is no "
            "score to report and no model to use."
        )
    else:
        sections.append(_evaluation(analysis, found))
    sections += [_meaning(analysis), _limits(analysis)]
    if found is not None:
        sections.append(_how(analysis, found, exported))
    sections.append(_provenance(analysis, exported))
    return f"---\n{_TEXTS['license']}{_front_matter(analysis)}---\n\n" + "\n\n".join(sections) + "\n"


def inert(text: str) -> str:
    """Returns one line of text that Markdown and HTML show as it is, whatever it contains."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", _line(text)) or "(no name)"


def _line(text: str) -> str:
    """Returns the text on one line, without characters that cannot be seen."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _label(text: str) -> str:
    """Returns a name for the front matter, of letters, digits and little else."""
    return re.sub(r"[^\w .,()+-]+", "-", _line(text)) or "study"


def _front_matter(analysis: Analysis) -> str:
    """Returns the head of the card as the hub's own library writes it; its values are not rounded."""
    model = _model(analysis)
    task = "tabular-classification" if model in FROM_NUMBERS else "video-classification"
    tags = ["gait-analysis", "research-only", *(["clip"] if model not in FROM_NUMBERS else [])]
    about: dict[str, Any] = {
        "library_name": "stridefold",
        "license": "other",
        "pipeline_tag": task,
        "tags": [*tags, *(["simulated-data"] if analysis.cohort.simulated else [])],
    }
    if analysis.results is not None:
        level, kind = _leading(analysis, analysis.results)
        about["metrics"] = [HUB_METRICS.get(s.metric, s.metric) for s in level.scores]
        about["model_name"] = _label(analysis.study.name)
        about["eval_results"] = _eval_results(analysis, task, level, kind)
    return ModelCardData(**about).to_yaml() + "\n"


def _eval_results(analysis: Analysis, task: str, level: Level, kind: str) -> list[EvalResult]:
    people = "simulated walkers" if analysis.cohort.simulated else "subjects"
    return [
        EvalResult(
            task_type=task,
            task_name=sentence(task.replace("-", " ")),
            dataset_type="gait-cohort",
            dataset_name=f"{analysis.ledger.subjects} {people} of the study's own cohort",
            dataset_split="subjects held out",
            metric_type=HUB_METRICS.get(s.metric, s.metric),
            metric_value=s.value,
            metric_name=f"{METRICS[s.metric]} per {level.level} ({kind})",
        )
        for s in level.scores
    ]


def _leading(analysis: Analysis, found: Results) -> tuple[Level, str]:
    """Returns the scores that lead the card, at the level of the study's metric, and what kind they are."""
    if analysis.nested is not None and analysis.nested.level is not None:
        return analysis.nested.level, "nested cross-validation"
    return _selected(analysis, found), "selection score, optimistic"


def _selected(analysis: Analysis, found: Results) -> Level:
    return found.detail.level(parse_metric(analysis.study.metric)[0])


def _model(analysis: Analysis) -> str:
    return str(analysis.results.trial.config.get("model", "clip")) if analysis.results else "clip"


def _what(analysis: Analysis) -> str:
    study, model = analysis.study, _model(analysis)
    title = inert(str(study.task.get("title") or study.name))
    classes = ", ".join(inert(name) for name in analysis.cohort.classes)
    backbone = f", with the frozen CLIP named {inert(_backbone(str(study.backbone.get('name', 'a CLIP'))))}"
    built = f"{MODELS.get(model, inert(model))}{backbone if model not in FROM_NUMBERS else ''}"
    given = "the measured gait parameters of a video" if model in FROM_NUMBERS else "a video of a walking person"
    what = f"The model is {built}" if analysis.results else f"The model will be {built} or a simpler one"
    return (
        f"# {sentence(title)}\n\n**{NOTICE}**\n\n{f'{SIMULATED} ' if analysis.cohort.simulated else ''}{what}. It was made by the study "
        f"{inert(study.name)} with stridefold, takes {given}, and gives one probability to each of "
        f"{'these ordered' if analysis.ordinal else 'these'} classes: {classes}."
    )


def _backbone(name: str) -> str:
    """Returns a backbone's name as it is, but of a folder on somebody's disk the last part alone."""
    path = name.replace("\\", "/")
    local = path.startswith(("/", ".", "~")) or path.count("/") > 1 or ":" in path
    return PurePosixPath(path).name or "a local folder" if local else name


def _data(analysis: Analysis) -> str:
    cohort, counts = analysis.cohort, analysis.ledger
    origin = SIMULATED if cohort.simulated else "Where they are from and whom they represent is for the authors to say."
    rows = [
        (inert(label), counts.cohort.subjects[i], counts.cohort.videos[i]) for i, label in enumerate(cohort.classes)
    ]
    return (
        f"## Training data\n\n{_count(counts.subjects, 'subject')} with {_count(counts.videos, 'video')} and "
        f"{_count(len(cohort.parameters), 'gait parameter')}; {_count(len(cohort.excluded), 'row')} of the table not used. "
        f"{origin}\n\n{_table(('Class', 'Subjects', 'Videos'), rows)}"
    )


def _evaluation(analysis: Analysis, found: Results) -> str:
    folds = (
        f"{_count(len(analysis.splits.folds), 'fold')} by subject: no subject was scored by a model that had seen them."
    )
    parts = ["## Evaluation", f"Scored on {folds} Intervals are 95 % expanded percentiles over resampled subjects."]
    nested = analysis.nested
    if nested is not None and nested.level is not None and nested.estimate is not None:
        optimism = ""
        if nested.optimism is not None:
            optimism = (
                f" The searches' own scores minus those of the same models on these subjects: {nested.optimism:+.2f} "
                f"({nested.optimism_low:+.2f} to {nested.optimism_high:+.2f})."
            )
        parts += [
            f"**Nested estimate: {metric(analysis.study.metric)} {_interval(nested.estimate)}.** The whole search was run "
            f"{_count(nested.wanted, 'time')}, each time without the subjects of one outer fold, who were then scored by "
            f"what it had chosen.{optimism}",
            _scores(nested.level),
            *_compared(nested.comparisons),
        ]
    level = _selected(analysis, found)
    chosen = next(s for s in level.scores if s.metric == parse_metric(analysis.study.metric)[1])
    complete = sum(t.scored for t in analysis.leaderboard)
    best = f"the best of {complete} configurations on" if complete > 1 else "of one configuration on"
    parts += [
        f"**Selection score: {metric(analysis.study.metric)} {_interval(chosen)}.** It is {best} the very subjects by whom "
        "it was chosen, so it is optimistic.",
        _scores(level),
        _each_class(found),
        *_compared(found.comparisons),
    ]
    if (shuffle := found.shuffled) is not None:
        parts.append(
            f"With the frames of each held-out window in random order {_share(shuffle.share)} of the answers for windows change, "
            f"and {metric(analysis.study.metric)} is {shuffle.order.other_value:.2f} instead of {shuffle.order.value:.2f}."
        )
    if analysis.shown is not None and (c := analysis.shown.calibration) is not None:
        kind = "nested" if nested is not None and nested.estimate is not None else "selection"
        parts.append(
            f"Calibration of the {kind} predictions over {_count(c.units, 'held-out ' + c.level)}: expected calibration error {c.expected_error:.2f}, "
            f"Brier score {c.brier:.2f}, log loss {c.log_loss:.2f}. No probability was recalibrated."
        )
    return "\n\n".join([*parts, *map(inert, sets_lines(analysis.sets))])


def _compared(comparisons: tuple[Comparison, ...]) -> list[str]:
    """Returns a table of the baselines and the runner-up on the same subjects; nothing where there are none."""
    rows = [
        (sentence(inert(BASELINES.get(c.other, c.other))), f"{c.other_value:.2f}", f"{c.difference:+.2f}", f"{c.low:+.2f} to {c.high:+.2f}")
        for c in comparisons
    ]  # fmt: skip
    return [_table(("Compared with", "Its score", "Difference", "95 %, these trained models"), rows)] if rows else []


def _interval(score: Score) -> str:
    return f"{score.value:.2f} ({score.low:.2f} to {score.high:.2f}; by chance {score.chance:.2f})"


def _scores(level: Level) -> str:
    rows = [
        (METRICS[s.metric], f"{s.value:.2f}", f"{s.low:.2f} to {s.high:.2f}", f"{s.chance:.2f}") for s in level.scores
    ]
    return _table((f"Per {level.level} ({level.units})", "Value", "95 % interval", "By chance"), rows)


def _each_class(found: Results) -> str:
    rows = [
        (inert(c.label), c.units, _share(c.recall), " to ".join(map(_share, c.recall_interval or (None, None))), _share(c.precision))
        for c in found.classes
    ]  # fmt: skip
    return _table(("Class", "Subjects", "Recall", "95 % interval", "Precision"), rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _meaning(analysis: Analysis) -> str:
    intro = (
        "Of each class the model keeps one feature. Where it was decoded, a small language model has turned it back into "
        "gait parameters: what the class looks like to the model of a fold. No subject has more than "
        f"1/{analysis.words.least_subjects} of the weight of a description or of any number in it."
    )
    skill = [skill_line(analysis.words)] if analysis.words.skills else []
    return "\n\n".join(["## What the classes mean", intro, *skill, *(_class(c) for c in analysis.words.classes)])


def _class(words: ClassWords) -> str:
    lines = [f"- Keywords: {', '.join(inert(k) for k in words.keywords)}"] if words.keywords else []
    lines += [f"- Clinical notion: {inert(notion)}" for notion in words.notions]
    lines += [f"- {inert(line)}" for line in evidence_lines(words.evidence)] if words.evidence is not None else []
    for s in words.sentences:
        lines.append(f"- Decoded, fold {s.fold}: {inert(''.join(text for text, _ in s.parts))}")
    if words.sentences:
        lines.append(
            f"- {words.inside} of {words.total} decoded values lie in the range of the class's training {'subjects' if words.evidence else 'videos'}"
        )
    return f"### {inert(words.label)}\n\n" + ("\n".join(lines) or "Nothing was said or decoded about this class.")


def _limits(analysis: Analysis) -> str:
    found, nested = analysis.results, analysis.nested
    estimated = nested is not None and nested.estimate is not None
    lines = [f"Learned from {_count(analysis.ledger.subjects, 'subject')} of one cohort; never tried on another one."]
    if analysis.cohort.simulated:
        lines.append(SIMULATED)
    lines += [inert(warning.sentence) for warning in analysis.warnings]
    if found is not None:
        if not estimated:
            lines.append("There is no nested estimate: on new people expect less than the selection score.")
        if analysis.beyond_chance is None:
            lines.append("Nothing in this study decides whether its score is above chance: it is the best of several.")
        elif not analysis.beyond_chance:
            lines.append("The score is not shown to be above chance, so this study does not show that the model learned anything.")  # fmt: skip
    lines += (
        [_gap(s) for s in found.subgroups]
        if found is not None and found.subgroups
        else ["Differences between groups of people, such as by age or sex, were not examined by the software."]
    )
    lines += [inert(notice) for notice in analysis.notices]
    return "## Limitations\n\n" + "\n".join(f"- {line}" for line in lines)


def _gap(found: Subgroups) -> str:
    """Returns a line on one attribute's subgroups; groups of few people are not named."""
    name, smallest = inert(found.attribute), _count(found.smallest, "subject")
    if found.gap is None:
        return f"By {name} there are not two groups of five subjects, so differences were not examined."
    return (
        f"By {name}, balanced accuracy differs by {found.gap:.2f} between the best and the worst group (p = {found.adjusted:.3f}, "
        f"corrected for all attributes looked at; the smallest group has {smallest})."
    )


def _how(analysis: Analysis, found: Results, exported: bool) -> str:
    if not KINDS[_model(analysis)].network:
        return "## How to use\n\nThe chosen configuration is a baseline that keeps no weights: it cannot predict new videos."  # fmt: skip
    whole = analysis.study.options.get("refit") == "all"
    which = (
        "It takes one model that was trained on every subject; the scores above are those of the folds, not its own."
        if whole
        else f"It takes the mean of the models of {_count(len(found.folds_done), 'fold')}."
    )
    folder = "MODEL_FOLDER" if exported else "STUDY_FOLDER"
    evaluate = f"python -m platform.evaluate {folder} --cohort YOUR_COHORT.csv --label COLUMN\n" if exported else ""
    return (
        f"## How to use\n\nWith stridefold installed, and {'this folder' if exported else 'the folder of the study'}:\n\n```\n"
        f"python -m platform.predict {folder} VIDEO ...\n{evaluate}```\n\n{which} A person who was in the cohort is not a test of it."
    )


def _provenance(analysis: Analysis, exported: bool) -> str:
    study = analysis.study
    rows = [
        ("Study", inert(study.name)),
        ("Cohort, sha256", inert(study.cohort_sha256)),
        ("Folds, sha256", inert(study.splits_sha256)),
        ("Backbone, sha256", inert(str(study.backbone.get("sha256", "unknown")))),
        ("Git commit", inert(study.git or "outside a checkout")),
        ("Started", inert(study.started)),
        ("Finished", inert(study.finished or "not finished")),
    ]
    if exported:  # a hash of names can be found again by whoever guesses the names; times and commits name a place
        rows = [row for row in rows if row[0] == "Backbone, sha256"]
    elif analysis.results is not None:
        rows.insert(1, ("Chosen trial", str(analysis.results.trial.number)))
    rows += [(f"Version of {inert(name)}", inert(value)) for name, value in sorted(study.versions.items())]
    return f"## Where this comes from\n\n{_table(('What', 'Value'), rows)}"


def _table(header: tuple[str, ...], rows: list[Any]) -> str:
    """Returns a Markdown table; its cells are inert already."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what if number == 1 else what + 's'}"
