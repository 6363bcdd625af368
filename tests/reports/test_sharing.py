"""What is given to others: pseudonyms everywhere, and faces only where they were asked for."""

import dataclasses
import json
import os
import stat
from pathlib import Path
from platform.report import six_frames

import polars as pl
import pytest

from reports.documents.page import render, write_report
from reports.documents.pseudonyms import KEY, Pseudonyms
from reports.figures.filmstrips import filmstrip
from reports.numbers.analysis import analyse
from tests.errors import coded
from tests.make_study import make_study
from tests.videos import write_video
from trainables.errors import ConfigurationError
from trainables.study.records import Cohort, StudyRecord


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a study whose ids look like names of people, and whose options name files."""
    folder = make_study(tmp_path_factory.mktemp("sharing") / "smith", subject_prefix="Smith-")
    record = StudyRecord.load(folder)
    private = {"cohort": "/home/clinic/smith.csv", "task": "smith.toml", "allow_duplicate": ["Smith-000_a.mp4"]}
    dataclasses.replace(record, options=record.options | private).save(folder)
    write_report(folder, share=True, pdf=False)
    return folder


def test_no_name_is_left_in_what_is_shared(study: Path) -> None:
    """Neither an id nor a file name stands in any of the files, and every subject is there under one pseudonym."""
    shared = study / "shared"
    assert {p.name for p in shared.iterdir()} >= {"report.html", "results.json", "model_card.md", "predictions.parquet"}
    cohort = Cohort.load(study)
    for path in shared.iterdir():
        contents = path.read_bytes()
        for name in (b"Smith", b"smith", b"/home/clinic", b"walk_17", b"cohort.csv"):
            assert name not in contents, (path, name)
    predictions = pl.read_parquet(shared / "predictions.parquet")
    assert "Smith" not in str(predictions.rows())
    assert predictions["subject"].n_unique() == len(cohort.subjects())
    assert predictions.select("subject", "video").n_unique() == len(cohort.videos)
    results = json.loads((shared / "results.json").read_text())
    assert results["chosen"]["score"] == analyse(study).results.score  # type: ignore[union-attr]


def test_pseudonyms_stay_and_need_the_key(study: Path, tmp_path: Path) -> None:
    """The same study gives the same page; another key gives other names. The key is for its owner alone."""
    page = (study / "shared" / "report.html").read_bytes()
    write_report(study, share=True, pdf=False)
    assert (study / "shared" / "report.html").read_bytes() == page
    assert stat.S_IMODE((study / KEY).stat().st_mode) == 0o600
    assert not (study / "shared" / KEY).exists()
    os.rename(study / KEY, tmp_path / KEY)
    write_report(study, share=True, pdf=False)
    assert (study / "shared" / "report.html").read_bytes() != page


def test_names_in_sentences() -> None:
    """File names and ids are replaced where they stand as words; a number in a sentence is not a subject's id."""
    names = Pseudonyms(subjects={"1": "subject-aa", "P01": "subject-bb"}, videos={"P01.mp4": "video-cc"})
    assert names.text("fold 1: 'P01.mp4' of subject '1' and P01, not P012") == (
        "fold 1: 'video-cc' of subject 'subject-aa' and subject-bb, not P012"
    )


def test_faces_do_not_go_with_pseudonyms(study: Path) -> None:
    """Both together are refused in one sentence."""
    with pytest.raises(ConfigurationError, check=coded("report.filmstrips_pseudonyms", "--filmstrips")):
        write_report(study, share=True, filmstrips=six_frames)


def test_frames_are_shown_only_where_asked_for(tmp_path: Path) -> None:
    """A wrong video's six frames are in the page as pictures; a video that is gone has none; without the option none are."""
    study = make_study(tmp_path / "study")
    analysis = analyse(study)
    assert analysis.results is not None
    wrong = analysis.results.mistakes["video"][0]
    path = tmp_path / "walk.mp4"
    write_video(path, frames=40, seed=0)
    assert str(filmstrip(six_frames(path), '"<b>')).count('alt="&#34;&lt;b&gt;, frame') == 6
    assert six_frames(tmp_path / "gone.mp4") == []
    videos = analysis.cohort.videos.with_columns(
        path=pl.when(pl.col("video") == wrong).then(pl.lit(str(path))).otherwise(pl.col("path"))
    )
    filmed = dataclasses.replace(analysis, cohort=dataclasses.replace(analysis.cohort, videos=videos))
    assert render(filmed, filmstrips=six_frames).count("data:image/jpeg;base64,") == 6
    assert "data:image" not in render(filmed)
