"""Sites: leave-one-site-out nested, permutations within sites, and the command that simulates several."""

import csv
import dataclasses
from collections import Counter
from pathlib import Path
from platform.baselines import check_baselines
from platform.cohort import main
from platform.console import Console
from platform.options import SearchOptions
from platform.pipeline import gather_cohort
from platform.sites import places
from platform.study import Study, open_study
from platform.study_parts import inner_study, outer_study, permuted

import polars as pl
import pytest

from search_spaces import load_space
from tests.errors import coded
from trainables.cohort.manifest import read_manifest
from trainables.errors import CohortError, ConfigurationError
from trainables.knowledge.parameters import load_parameters


@pytest.fixture(scope="module")
def walkers(tmp_path_factory) -> Path:
    """Returns the folder that the command wrote: three sites, 27 subjects of small short videos."""
    folder = tmp_path_factory.mktemp("sites") / "walkers"
    given = [str(folder), "--subjects", "27", "--seconds", "4", "--size", "32", "--sites", "3", "--site-bias", "0.5"]
    assert main(["simulate", *given]) == 0
    return folder


def study_of(walkers: Path, folder: Path, **changes) -> tuple[Study, SearchOptions]:
    """Returns a study of the walkers that has not been searched, with the sites as the manifest's own folds."""
    options = SearchOptions(cohort=str(walkers / "cohort.csv"), study=str(folder), fold_column="site", **changes)
    cohort, task = read_manifest(
        walkers / "cohort.csv", task=None, label="diagnosis", parameters=load_parameters(), folds=2, fold_column="site",
        attributes=options.attribute, own_parameters=True, simulated=True,
    )  # fmt: skip
    return open_study(folder, options, cohort, task, {"name": "small", "sha256": "0"}), options


def test_the_command_writes_sites(walkers: Path, tmp_path: Path, capsys) -> None:
    """The manifest has a column site; with a bias the group decides more often than chance, and wrong numbers are one sentence."""
    rows = list(csv.DictReader((walkers / "cohort.csv").open()))
    assert {r["site"] for r in rows} == {"site A", "site B", "site C"}
    pairs = Counter((r["diagnosis"], r["site"]) for r in {r["subject"]: r for r in rows}.values())
    assert max(pairs.values()) >= 5  # 9 subjects of a group over 3 sites are 3 each without a bias
    assert main(["simulate", str(tmp_path / "x"), "--sites", "3", "--site-bias", "2"]) == 1
    assert "site_bias" in capsys.readouterr().err


def test_a_folder_of_simulated_walkers_is_known_as_such(tmp_path: Path, capsys) -> None:
    """Its page says so under --cohort too, and parameters that separate its groups by design are no fault."""
    given = [str(tmp_path / "w"), "--subjects", "36", "--seconds", "4", "--size", "32", "--sites", "3", "--seed", "4"]
    assert main(["simulate", *given]) == 0
    cohort, _ = gather_cohort(SearchOptions(cohort=str(tmp_path / "w/cohort.csv")), Console())
    assert cohort.simulated
    (tmp_path / "w/simulated.json").unlink()
    with pytest.raises(CohortError, check=coded("cohort.problems", "double_support_time_left")):
        gather_cohort(SearchOptions(cohort=str(tmp_path / "w/cohort.csv")), Console())


def test_leave_one_site_out_is_nested(walkers: Path, tmp_path: Path) -> None:
    """Each outer fold holds out a site whole, and the inner folds are the other sites."""
    study, options = study_of(walkers, tmp_path / "s", outer_folds=3)
    sites = dict(study.cohort.videos.select("subject", "fold").unique().rows())
    outer = outer_study(study, options)
    assert len(outer.splits.folds) == 3
    for fold in outer.splits.folds:
        (held_out,) = {sites[s] for s in fold.test}
        inner = inner_study(outer, fold, options)
        assert held_out not in set(inner.cohort.videos["fold"])
        assert [{sites[s] for s in f.test} for f in inner.splits.folds] == [
            {x} for x in sorted(set(sites.values()) - {held_out})
        ]


def test_another_number_of_outer_folds_than_sites(walkers: Path, tmp_path: Path) -> None:
    """Two outer folds of three sites are an error that says how many there are."""
    study, options = study_of(walkers, tmp_path / "s", outer_folds=2)
    with pytest.raises(ConfigurationError, check=coded("option.outer_folds.conflict", "--outer-folds 3")):
        outer_study(study, options)


def test_permutations_stay_within_sites(walkers: Path, tmp_path: Path) -> None:
    """Every site keeps its mix of classes, and labels still change hands."""
    study, options = study_of(walkers, tmp_path / "s")
    mixed = permuted(study, 0, options)

    def mix(cohort) -> list[tuple]:
        one = cohort.videos.group_by("subject").agg(pl.col("fold", "label").first())
        return sorted(one.group_by("fold", "label").len().rows())

    assert mix(mixed.cohort) == mix(study.cohort)
    assert mixed.cohort.subjects()["label"].to_list() != study.cohort.subjects()["label"].to_list()


def test_which_columns_are_places(walkers: Path, tmp_path: Path) -> None:
    """The column of the folds is a place where its name says so, an attribute too; it is asked about once."""
    study, _ = study_of(walkers, tmp_path / "s")
    assert places(study) == [("site", "fold")]
    study, _ = study_of(walkers, tmp_path / "t", attribute=("site",))
    assert places(study) == [("site", "attribute site")]


def test_attributes_are_a_baseline_where_they_are_given(walkers: Path, tmp_path: Path) -> None:
    """--attribute adds the baseline, --baselines none does not, and without attributes it is an error."""
    space = load_space("smoke")
    assert SearchOptions(attribute=("site",)).completed(space).baselines[-1] == "attributes"
    assert SearchOptions(attribute=("site",), baselines=()).completed(space).baselines == ()
    assert "attributes" not in SearchOptions().completed(space).baselines
    study, _ = study_of(walkers, tmp_path / "s")
    with pytest.raises(ConfigurationError, check=coded("baseline.no_attributes", "--attribute age,sex,site")):
        check_baselines(("attributes",), study.cohort)
    check_baselines(("recording", "single_frame"), dataclasses.replace(study.cohort, parameters=()))
