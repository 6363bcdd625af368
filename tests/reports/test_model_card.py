"""The model card: read by the hub's own reader, true to the study's numbers, and deaf to what names contain."""

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from reports.documents.model_card import inert, model_card
from reports.numbers.analysis import Analysis, analyse
from reports.numbers.controls import StudyWarning
from reports.numbers.subgroups import Subgroups
from tests.make_study import add_outer_folds, make_study
from tests.reports.test_tripod import with_settings

HOSTILE = (
    "</script><img src=x onerror=alert(1)>",
    "a | b\n\n---\n\n# c\n| d |\r\n```\n--> & `e",
    "[**f**](javascript:alert(1)) ![g](x) https://evil.example \u202eh",
)
TAGS = {"h1", "h2", "h3", "p", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code"}


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> Analysis:
    """A finished search on people."""
    return analyse(make_study(tmp_path_factory.mktemp("searched") / "s", simulated=False, subject_prefix="PATIENT"))


@pytest.fixture(scope="module")
def nested(tmp_path_factory) -> Analysis:
    """The same with outer folds."""
    folder = make_study(tmp_path_factory.mktemp("nested") / "s", simulated=False, subject_prefix="PATIENT")
    return analyse(add_outer_folds(folder))


class Shown(HTMLParser):
    """What a reader sees of a card's body: its elements, its words, and the cells of each row."""

    def __init__(self, card: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words = ""
        self.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(card.split("\n---\n", 1)[1]))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        self.words += "\n" if tag in {"tr", "p", "li", "h1", "h2", "h3"} else " "

    def handle_data(self, data):
        self.words += data


def _front_matter(card: str) -> dict:
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])


def test_the_hub_reads_the_card(searched):
    """The hub's reader and plain YAML find the same front matter, with the scores to the last digit."""
    text = model_card(searched)
    card = ModelCard(text)
    assert card.data.library_name == "stridefold"
    assert card.data.license == "other"
    assert card.data.pipeline_tag == "video-classification"
    assert card.data.model_name == "gait-study"
    level = searched.results.levels[0]
    assert [r.metric_value for r in card.data.eval_results] == [s.value for s in level.scores]
    assert card.data.eval_results[0].metric_value == searched.results.score
    assert [r.metric_type for r in card.data.eval_results] == card.data.metrics
    assert _front_matter(text)["model-index"][0]["results"][0]["metrics"][0]["type"] == "f1"
    assert yaml.safe_load(card.data.to_yaml()) == _front_matter(text)


def test_without_outer_folds_the_score_is_called_selected(searched):
    """The number, its interval and chance stand beside the words that it is optimistic."""
    words, score = Shown(model_card(searched)).words, searched.results.levels[0].scores[0]
    assert f"macro F1 per subject {score.value:.2f} ({score.low:.2f} to {score.high:.2f}; by chance {score.chance:.2f})." in words  # fmt: skip
    assert (
        "It is the best of 8 configurations on the very subjects by whom it was chosen, so it is optimistic." in words
    )
    assert "There is no nested estimate" in words
    names = {m["name"] for m in _front_matter(model_card(searched))["model-index"][0]["results"][0]["metrics"]}
    assert all(name.endswith("(selection score, optimistic)") for name in names)


def test_with_outer_folds_the_estimate_leads(nested):
    """The front matter has the nested scores alone; the text has them first and still names the selection score."""
    text, estimate = model_card(nested), nested.nested.estimate
    metrics = _front_matter(text)["model-index"][0]["results"][0]["metrics"]
    assert [m["value"] for m in metrics] == [s.value for s in nested.nested.level.scores]
    assert metrics[0]["name"] == "Macro F1 per subject (nested cross-validation)"
    words = Shown(text).words
    assert words.index(f"Nested estimate: macro F1 per subject {estimate.value:.2f}") < words.index("Selection score:")
    assert f"minus those of the same models on these subjects: {nested.nested.optimism:+.2f} (" in words
    assert "There is no nested estimate" not in words


def test_counts_are_the_cohorts(searched):
    """Subjects, videos, classes, left-out rows and hashes are those of the study."""
    words = Shown(model_card(searched)).words
    assert "27 subjects with 54 videos and 6 gait parameters; 2 rows of the table not used." in words
    for part in (searched.study.cohort_sha256, searched.study.splits_sha256, searched.study.backbone["sha256"]):
        assert part in words
    assert "not a medical device" in words
    assert "simulated" not in words
    assert "python -m platform.predict STUDY_FOLDER VIDEO" in words
    c = searched.results.calibration
    assert (
        f"Calibration of the selection predictions over 54 held-out videos: expected calibration error {c.expected_error:.2f}"
        in words
    )
    for decoded in searched.results.folds_done[0].decoded:
        assert decoded.sentence in words


def test_simulated_walkers_are_called_so(tmp_path):
    """A cohort that is not a cohort of patients says so in the text and in the tags."""
    card = model_card(analyse(make_study(tmp_path / "s", trials=1)))
    assert "simulated-data" in _front_matter(card)["tags"]
    assert card.count("say nothing about patients") == 3


def test_hostile_names_are_text(tmp_path):
    """Markup, tables, links and invisible characters in names are shown, and change neither the text nor the front matter."""
    folder = make_study(tmp_path / "s", trials=1, classes=HOSTILE, per_class=4)
    analysis = analyse(folder)
    task = analysis.study.task | {"title": "--- <b>t</b>: 'x\n---\n# y"}
    study = dataclasses.replace(analysis.study, task=task, name='n: ">\n---\n<script>', git="<i>")
    card = model_card(dataclasses.replace(analysis, study=study))
    shown, plain = Shown(card), Shown(model_card(analyse(make_study(tmp_path / "p", trials=1, per_class=4))))
    assert set(shown.tags) == TAGS
    assert shown.attributes == []
    assert shown.tags == plain.tags
    words = " ".join(shown.words.split())
    for name in (HOSTILE[0], "a | b --- # c | d | ``` --> & `e", "[**f**](javascript:alert(1)) ![g](x) https://evil.example h"):  # fmt: skip
        assert words.count(name) >= 4
    data = ModelCard(card).data
    assert data.model_name == "n- - --- -script-"
    assert data.license == "other"
    assert "<" not in card


def test_every_text_of_a_user_is_inert(nested):
    """Each is shown as it was written: the template escapes all of them, and fills nothing that stands in one."""
    texts = [f"text {number} <b>| `{{{{ 7 * 7 }}}}" for number in range(25)]
    rest = iter(texts)
    study = dataclasses.replace(
        nested.study,
        **{name: next(rest) for name in ("name", "git", "started", "finished", "cohort_sha256", "splits_sha256")},
        task=nested.study.task | {"title": next(rest)},
        backbone={"name": next(rest), "sha256": next(rest)},
        versions={next(rest): next(rest)},
    )
    first, *others = nested.words.classes
    said = dataclasses.replace(
        first,
        label=next(rest),
        keywords=(next(rest),),
        notions=(next(rest),),
        sentences=(dataclasses.replace(first.sentences[0], parts=((next(rest), True),)),),
        evidence=dataclasses.replace(first.evidence, sentence=next(rest), refusals=(next(rest),)),
    )
    group = {"unit": "", "groups": (), "missing": 0, "within": False, "smallest": 5, "p_value": 0.5, "adjusted": 0.5}
    groups = tuple(Subgroups(attribute=next(rest), gap=gap, **group) for gap in (None, 0.1))
    changed = dataclasses.replace(
        nested,
        study=study,
        cohort=dataclasses.replace(nested.cohort, classes=(next(rest), next(rest), next(rest))),
        results=dataclasses.replace(
            nested.results,
            classes=(dataclasses.replace(nested.results.classes[0], label=next(rest)),),
            subgroups=groups,
        ),
        words=dataclasses.replace(nested.words, classes=(said, *others)),
        warnings=(StudyWarning(code="any", sentence=next(rest)),),
        notices=(next(rest),),
    )
    card = model_card(changed)
    words = Shown(card).words.lower()
    assert [text for text in texts if text.lower() not in words] == []
    assert changed.sets.measured
    assert "<b>" not in card
    assert "{{" not in card


@pytest.mark.parametrize(
    "name", ["a_b*c", "<x>", "&lt;", "\u202eabc", "www.evil.example", "https://x", "`", "\\", "#", ""]
)
def test_inert_text_is_read_as_it_was_written(name):
    """What a Markdown reader shows of a name is the name, but for characters that cannot be seen."""
    html = MarkdownIt("commonmark", {"html": True}).render(f"x {inert(name)}")
    shown = Shown("\n---\n" + f"x {inert(name)}")
    assert html.count("<") == 2
    assert shown.words.strip() == f"x {name.replace(chr(0x202E), '') or '(no name)'}"


def test_no_subject_and_no_path_is_told(searched):
    """Names of subjects and videos, and the folders of the machine, stay out, also that of a backbone."""
    backbone = searched.study.backbone | {"name": "/home/someone/clips/vit"}
    study = dataclasses.replace(searched.study, backbone=backbone)
    card = model_card(dataclasses.replace(searched, study=study))
    assert "PATIENT" not in card
    assert ".mp4" not in card
    assert not re.search(r"(?<![\w<])/\w", card)
    assert "the frozen CLIP named vit." in card


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("openai/clip-vit-base-patch16", "openai/clip-vit-base-patch16"),
        ("small", "small"),
        ("../clips/vit", "vit"),
        ("C:\\clips\\vit", "vit"),
        ("data/clips/vit/", "vit"),
        ("~/vit", "vit"),
    ],
)
def test_a_backbone_of_the_hub_keeps_its_name(searched, name, shown):
    """A hub id is said whole; of a folder only the last part."""
    study = dataclasses.replace(searched.study, backbone={"name": name})
    assert f"the frozen CLIP named {shown}." in model_card(dataclasses.replace(searched, study=study))


def test_same_study_same_bytes(nested):
    """The card depends on the study and on no clock or order."""
    assert model_card(nested) == model_card(nested)


def test_a_study_without_a_complete_trial_has_no_score(tmp_path):
    """The card says that there is nothing to use yet, and has neither scores nor a command."""
    folder: Path = make_study(tmp_path / "s", trials=1, finished=False)
    card = model_card(analyse(folder))
    assert set(_front_matter(card)) == {"library_name", "license", "pipeline_tag", "tags"}
    words = Shown(card).words
    assert "No configuration has finished all 3 folds yet, so there is no score to report and no model to use." in words
    assert "platform.predict" not in card
    assert ModelCard(card).data.eval_results is None


def test_a_baseline_says_that_it_cannot_predict(searched):
    """A baseline keeps no weights; the one on numbers alone is not a classifier of videos."""
    card = model_card(with_settings(searched, model="parameters"))
    assert "keeps no weights: it cannot predict new videos" in card
    assert "platform.predict" not in card
    assert _front_matter(card)["pipeline_tag"] == "tabular-classification"
    assert "clip" not in _front_matter(card)["tags"]


def test_a_refitted_model_has_no_score_of_its_own(searched):
    """With --refit all the card does not pass the folds' scores off as those of the model that predicts."""
    study = dataclasses.replace(searched.study, options=searched.study.options | {"refit": "all"})
    card = model_card(dataclasses.replace(searched, study=study))
    assert "one model that was trained on every subject; the scores above are those of the folds, not its own" in card
    assert "It takes the mean of the models of 3 folds." in model_card(searched)
