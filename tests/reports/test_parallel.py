"""Drawings of all trials at once: what is on them, where it stands, and what they do with hostile names."""

import dataclasses
import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.tri import LinearTriInterpolator
from scipy.interpolate import griddata

from reports.figures.parallel_coordinates import MOST_AXES, Plane, contour, parallel_coordinates, surface
from reports.figures.scales import NOT_USED, OFF_ROOM, Scale, scale_of, shortened, spaced
from reports.numbers.search import Slice, tell_search
from trainables.study.leaderboard import TrialRecord

pytestmark = pytest.mark.filterwarnings("error")
METRIC = "subject/macro_f1"
HOSTILE = ("</script><img src=x onerror=alert(1)>", r"$\bad{", "&amp; \"quoted\" 'name'")


def _trial(number: int, value: float | None, folds: int = 3, state: str = "COMPLETE", **config) -> TrialRecord:
    config = {name.replace("__", "."): setting for name, setting in config.items()}
    return TrialRecord(number=number, state=state, value=value, folds=("k",) * folds, config=config)


def _search(trials: int = 9) -> tuple[TrialRecord, ...]:
    """Returns trials over prompt length, numeracy weight and the start of the prompt; a later one is better."""
    return tuple(
        _trial(
            i,
            0.5 + i / 300,
            text__n_ctx=4 + 4 * (i % 5),
            numeracy__weight=0.01 * 1.1 ** (7 * i % 20),
            text__context_init=("zeros", "words")[i % 2],
        )
        for i in range(trials)
    )


def _texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("text")]


def _pale(svg: str) -> list[str]:
    return re.findall(r'<path d="([^"]*)" style="[^"]*stroke: var\(--muted\); stroke-opacity', svg)


def test_every_complete_trial_is_a_line():
    """Each complete trial is a line through all axes, the best one wide and with marks; the others are not drawn."""
    trials = (*_search(), _trial(9, None, state="PRUNED", folds=1), _trial(10, 0.9, folds=2), _trial(11, math.nan))
    drawing = parallel_coordinates(trials, METRIC, 3)
    for svg in (drawing.svg, drawing.narrow):
        lines = [line for line in _pale(svg) if line.count("L") == 3]
        assert len(lines) == 8
        assert len(set(lines)) == 8
        assert len(re.findall(r"stroke: var\(--blue\); stroke-width: 2\.8", svg)) == 2  # itself and in the legend
        assert "the best, trial 8" in _texts(svg)
    assert drawing.description.startswith("9 complete trials across 3 settings. The best, trial 8, reached 0.527 with ")


def test_table_is_the_data():
    """The numbers beneath the drawing are every complete trial's score and settings, the best first."""
    drawing = parallel_coordinates(_search(3), METRIC, 3)
    assert drawing.header == (
        "Trial",
        "Macro F1 per subject",
        "Prompt length (tokens)",
        "Numeracy weight",
        "Start of the prompt",
    )
    assert drawing.rows == (
        ("2", "0.507", "12", "0.038", "zeros"),
        ("1", "0.503", "8", "0.0195", "words"),
        ("0", "0.500", "4", "0.01", "zeros"),
    )


@pytest.mark.parametrize("draw", [parallel_coordinates, contour])
def test_same_trials_give_same_bytes(draw):
    """A drawing depends on the trials and on no clock, order or draw."""
    trials = _search(14)
    assert draw(trials, METRIC, 3) == draw(trials, METRIC, 3) == draw(trials[::-1], METRIC, 3)
    assert draw(trials, METRIC, 3) == draw(trials, METRIC, 3, story=tell_search(trials, 3))


def test_hostile_names_are_text():
    """Names of categories and settings become text of the drawing and nothing else."""
    trials = tuple(
        dataclasses.replace(t, config=t.config | {"text.context_init": HOSTILE[t.number % 3], HOSTILE[0]: t.number})
        for t in _search()
    )
    drawing = parallel_coordinates(trials, METRIC, 3)
    for svg in (drawing.svg, drawing.narrow):
        tags = {e.tag for e in ElementTree.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "desc", "g", "path", "text", "use", "defs", "clipPath", "rect"}
        assert r"$\bad{" in _texts(svg)
        assert any(t.startswith("</script><im") for t in _texts(svg))
        assert "<img" not in svg
        assert "</script" not in svg
    assert {row[drawing.header.index("Start of the prompt")] for row in drawing.rows} == set(HOSTILE)


def test_nothing_to_compare_is_no_drawing():
    """One complete trial, or one setting that varies, shows no pattern."""
    assert parallel_coordinates((), METRIC, 3) is None
    assert parallel_coordinates(_search(1), METRIC, 3) is None
    assert parallel_coordinates(_search(), METRIC, 4) is None
    one = tuple(_trial(i, 0.5, text__n_ctx=4 + 4 * i) for i in range(4))
    assert parallel_coordinates(one, METRIC, 3) is None


def test_important_settings_stand_beside_the_score_and_the_rest_are_named():
    """Of twenty settings the eleven most important are drawn, the first beside the score; the others are in the words."""
    trials = tuple(_trial(i, 0.5 + i / 10, **{f"own.s{k:02}": (i + 1) * (k + 1) for k in range(20)}) for i in range(3))
    story = tell_search(trials, 3)
    shares = tuple((f"own.s{k:02}", (20 - (k - 7) % 20) / 210) for k in range(20))  # s07 first, then s08 ...
    drawing = parallel_coordinates(trials, METRIC, 3, story=dataclasses.replace(story, importance=shares))
    assert len(drawing.header) == 1 + MOST_AXES
    assert drawing.header[2:5] == ("Own.s07", "Own.s08", "Own.s09")
    assert drawing.description.endswith(
        "Left out: own.s18, own.s19, own.s00, own.s01, own.s02, own.s03, own.s04, own.s05, own.s06."
    )
    assert drawing.svg.count("own.s17") == 2  # in the description and at its axis


def test_numeracys_importance_counts_for_the_axis_of_its_weight():
    """Whether numbers are used has no axis of its own where their weight has one, which shows both."""
    trials = tuple(dataclasses.replace(t, config=t.config | {"numeracy.enabled": t.number > 3}) for t in _search())
    story = dataclasses.replace(tell_search(trials, 3), importance=(("numeracy.enabled", 0.9), ("text.n_ctx", 0.1)))
    drawing = parallel_coordinates(trials, METRIC, 3, story=story)
    assert drawing.header[2:] == ("Numeracy weight", "Prompt length (tokens)", "Start of the prompt")
    assert [row[2] for row in drawing.rows[-4:]] == ["off"] * 4


def test_places_on_a_linear_a_logarithmic_and_a_named_axis():
    """The middle is the mean of the ends, their geometric mean, or the middle name."""
    linear = Slice(name="text.n_ctx", numeric=True, log=False, points=((4, 0.1, 0), (12, 0.2, 1), (20, 0.3, 2)))
    log = Slice(name="optimizer.lr", numeric=True, log=True, points=((1e-5, 0.1, 0), (1e-4, 0.2, 1), (1e-3, 0.3, 2)))
    named = Slice(
        name="text.context_init", numeric=False, log=False, points=(("a", 0.1, 0), ("b", 0.2, 1), ("c", 0, 2))
    )
    for slice_ in (linear, log, named):
        assert scale_of(slice_).places == pytest.approx({0: 0, 1: 0.5, 2: 1})
        assert [place for place, _ in scale_of(slice_).ticks] == pytest.approx([0, 0.5, 1])
    assert [text for _, text in scale_of(log).ticks] == ["1\xa0×\xa010⁻⁵", "1\xa0×\xa010⁻⁴", "0.001"]


def test_trials_without_a_setting_have_a_place_of_their_own():
    """A setting whose part is off stands before all values, apart from them, and says so."""
    numeric = Slice(name="numeracy.head_width", numeric=True, log=False, points=((32, 0.1, 0), (128, 0.2, 1)))
    scale = scale_of(numeric, [0, 1, 2])
    assert scale.places == pytest.approx({0: OFF_ROOM, 1: 1.0, 2: 0.0})
    assert scale.words == {0: "32", 1: "128", 2: NOT_USED}
    weight = Slice(
        name="numeracy.weight", numeric=True, log=True, points=(("off", 0.1, 2), (0.1, 0.1, 0), (1.0, 0.2, 1))
    )
    assert scale_of(weight, [0, 1, 2]).words[2] == "off"
    assert scale_of(weight).places == pytest.approx({0: 0, 1: 1})
    named = Slice(name="text.projector", numeric=False, log=False, points=(("per_class", 0.1, 0), ("shared", 0.2, 1)))
    assert scale_of(named, [0, 1, 2]).ticks == ((0.0, NOT_USED), (0.5, "per class"), (1.0, "shared"))


@given(st.lists(st.floats(0, 1), max_size=30).map(sorted), st.integers(1, 12))
def test_spaced_ticks_do_not_touch(places, letters):
    """What is kept has room for its text, and nothing is dropped that had room beside what is kept."""
    ticks = [(place, "x" * letters) for place in places]
    kept = spaced(ticks, 300, lambda text: 7 * len(text))
    assert kept[:1] == ticks[:1]
    assert all((b[0] - a[0]) * 300 >= 7 * letters for a, b in itertools.pairwise(kept))
    for place, _ in set(ticks) - set(kept):
        assert any(0 <= (place - k) * 300 < 7 * letters for k, _ in kept)


def test_long_names_end_in_an_ellipsis():
    """A text of the allowed length stays; a longer one is cut to it."""
    assert shortened("12345", 5) == "12345"
    assert shortened("123456", 5) == "1234…"


def test_hundred_trials_stay_small():
    """A drawing of a hundred trials with a full set of axes is below 60 kB, on a desk and on a phone."""
    rng = np.random.default_rng(0)
    trials = tuple(
        _trial(i, float(rng.random()), **{f"own.s{k}": float(v) for k, v in enumerate(rng.random(11))})
        for i in range(100)
    )
    drawing = parallel_coordinates(trials, METRIC, 3)
    assert len([line for line in _pale(drawing.svg) if line.count("L") == 11]) == 99
    over = contour(_search(100), METRIC, 3)
    assert max(len(svg) for d in (drawing, over) for svg in (d.svg, d.narrow)) < 60_000


def test_contour_has_a_dot_per_trial():
    """Each complete trial is a dot, the best a star, and a row of the table; the number beside a dot is its score."""
    drawing = contour(_search(), METRIC, 3)
    for svg in (drawing.svg, drawing.narrow):
        dots = re.findall(r'<use [^>]*style="fill: var\(--(\w+)\); stroke: var\(--paper\)', svg)
        bands = sum("–" in text for text in _texts(svg))
        assert dots.count("blue") == 8 + bands
        assert dots.count("vermillion") == 2
        assert "0.53" in _texts(svg)
    assert drawing.header == ("Prompt length (tokens)", "Numeracy weight", "Score", "Trial")
    assert drawing.rows[0] == ("16", "0.0459", "0.527", "8")
    assert sorted(row[3] for row in drawing.rows) == [str(i) for i in range(9)]
    assert drawing.title == "The score over prompt length (tokens) and numeracy weight"


def test_contour_needs_two_numbers_that_vary():
    """A setting that stays, has names, or is not there gives no contour."""
    trials = _search()
    assert contour((), METRIC, 3) is None
    assert contour(trials, METRIC, 3, y="text.context_init") is None
    assert contour(trials, METRIC, 3, x="optimizer.lr") is None
    fixed = tuple(dataclasses.replace(t, config=t.config | {"text.n_ctx": 8}) for t in trials)
    assert contour(fixed, METRIC, 3) is None
    off = tuple(dataclasses.replace(t, config=t.config | {"numeracy.enabled": t.number == 0}) for t in trials)
    assert contour(off, METRIC, 3) is None


def test_trials_without_numbers_stand_on_their_strip():
    """Where numeracy is off a trial has no weight, but it is drawn and in the table."""
    trials = tuple(dataclasses.replace(t, config=t.config | {"numeracy.enabled": t.number > 2}) for t in _search())
    drawing = contour(trials, METRIC, 3)
    assert "off" in _texts(drawing.svg)
    assert [row[1] for row in drawing.rows[-3:]] == ["off"] * 3
    assert drawing.description.endswith("In 3 of them numeracy weight is off.")


def _plane(places: list[tuple[float, float]], scores: list[float]) -> Plane:
    x, y = (Scale(name="x", places=dict(enumerate(p)), words={}, ticks=()) for p in zip(*places, strict=True))
    return Plane(x=x, y=y, scores=dict(enumerate(scores)), levels=(0.0, 1.0))


def test_surface_is_scipys_linear_interpolation():
    """Between the trials the surface is what scipy's griddata gives, and outside them there is none."""
    rng = np.random.default_rng(4)
    places, scores = rng.random((12, 2)), rng.random(12)
    found = surface(_plane([tuple(p) for p in places.tolist()], scores.tolist()))
    wanted = rng.random((200, 2))
    values = LinearTriInterpolator(*found)(wanted[:, 0], wanted[:, 1])
    expected = griddata(places, scores, wanted, method="linear")
    assert np.isnan(expected).any()
    assert (values.mask == np.isnan(expected)).all()
    assert values.compressed() == pytest.approx(expected[~np.isnan(expected)])


def test_surface_needs_six_places_off_a_line():
    """Five places, six of which two are the same, or six on a line have no surface; trials at one place give their mean."""
    corners = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.4)]
    assert surface(_plane(corners, [0.5] * 5)) is None
    assert surface(_plane([*corners, corners[0]], [0.5] * 6)) is None
    assert surface(_plane([(i / 9, i / 9) for i in range(10)], [0.5] * 10)) is None
    _, means = surface(_plane([*corners, (0.2, 0.9), (0.2, 0.9)], [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7]))
    assert means == pytest.approx([0.0, 0.1, 0.6, 0.4, 0.2, 0.3])


def test_bands_are_drawn_only_with_a_surface():
    """Five trials are dots alone; nine are dots on bands."""
    few, many = (contour(_search(n), METRIC, 3).svg for n in (5, 9))
    shaded = re.compile(r"fill: var\(--blue\); fill-opacity: 0\.\d+")
    assert not shaded.search(few)
    assert shaded.search(many)


@pytest.mark.parametrize("draw", [parallel_coordinates, contour])
def test_equal_scores_are_drawn(draw):
    """Trials that all score the same are a finding too."""
    drawing = draw(tuple(dataclasses.replace(t, value=0.5) for t in _search()), METRIC, 3)
    assert len(drawing.rows) == 9
    assert "0.500" in drawing.rows[0]


def test_setting_that_varies_only_where_it_is_off_is_not_drawn():
    """Widths of numeric heads that no trial uses are no axis."""
    trials = tuple(
        dataclasses.replace(
            t, config=t.config | {"numeracy.enabled": False, "numeracy.head_width": 32 * (t.number + 1)}
        )
        for t in _search()
    )
    drawing = parallel_coordinates(trials, METRIC, 3)
    assert "Numeric head width" not in drawing.header
