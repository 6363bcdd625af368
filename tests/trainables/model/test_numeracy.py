"""Numbers as text, and the memory of numerical records that class texts are held against."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch.nn import functional

from tests.tiny_cohort import CONFIG, PARAMETERS, TinyCohort, make_cohort
from trainables.model.backbone import SMALL, FrozenText, TextEncoder, load_backbone
from trainables.model.numbers import NumberEncoder, number_direction, sinusoids, spell
from trainables.model.numeracy import NumericContrast, NumericMemory
from trainables.settings import ENCODINGS, NumeracyConfig
from trainables.training.fold import fit_memory, train_fold
from trainables.training.job import FoldJob


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("numeracy"))


@pytest.fixture(scope="module")
def small() -> FrozenText:
    if not (SMALL / "model.safetensors").exists():
        pytest.skip("the embedded backbone has not been trained yet")
    backbone = load_backbone("small")
    return FrozenText(backbone, TextEncoder(backbone.clip))


def similarities(encoder: NumberEncoder, step: int = 20) -> np.ndarray:
    """Returns cos(e(v), e(v')) of the first parameter, for v in equal steps from -clip to clip."""
    features = functional.normalize(encoder.features(np.arange(0, 201, step)[:, None])[:, 0].double(), dim=-1)
    return (features @ features.T).numpy()


def test_written_numbers():
    """Numbers in words have a sign and two decimals."""
    assert spell(-0.85) == "minus zero point eight five"
    assert spell(2.5) == "two point five zero"
    assert spell(0.0) == spell(-0.001) == "zero point zero zero"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_sequence(tiny, encoding):
    """A sentence is start, the name's unit feature, 'is', the number in its encoding, and end."""
    text = tiny.frozen.text
    encoder = NumberEncoder(text, ["cadence", "walking speed"], encoding, clip=2.5)
    sequence = encoder.sequence(1, 40)  # v = -1.5
    middle = {
        "continuous": -1.5 / 2.5 * encoder.direction[None],
        "position": functional.normalize(sinusoids(201, 32)[40:41], dim=-1),
        "digits": text.encoder.embed(text.backbone.tokens("-1.50")),
        "words": text.encoder.embed(text.backbone.tokens("minus one point five zero")),
    }[encoding]
    name = text.encoder.read([text.sequence(text.backbone.tokens("walking speed"))], project=False)
    ends = [text.encoder.embed([getattr(text.backbone.tokenizer, f"{end}_token_id")]) for end in ("bos", "eos")]
    expected = torch.cat([ends[0], name / name.norm(), encoder.copula, middle, ends[1]])
    torch.testing.assert_close(sequence, expected)
    read = encoder.features(np.array([[-1, 40], [3, -1]]))
    one = text.encoder.read([expected])[0]
    torch.testing.assert_close(read[0, 1], one / one.norm())
    assert not read[0, 0].any()
    assert not read[1, 1].any()
    assert read[1, 0].norm() == pytest.approx(1.0, abs=1e-5)


def test_numbers_direction():
    """It is a fixed unit vector, orthogonal to all position encodings where they leave room for that."""
    wide, narrow = sinusoids(77, 512), sinusoids(77, 32)
    direction = number_direction(wide)
    assert float(direction.norm()) == pytest.approx(1.0)
    assert float((functional.normalize(wide, dim=-1) @ direction).abs().max()) < 1e-4
    assert torch.equal(direction, number_direction(wide))
    assert float(number_direction(narrow).norm()) == pytest.approx(1.0)


def test_sign_is_told_apart(tiny, small):
    """v and -v have different features in every encoding."""
    for text in (tiny.frozen.text, small):
        for encoding in ENCODINGS:
            matrix = similarities(NumberEncoder(text, ["walking speed"], encoding, clip=2.5))
            assert 1 - matrix[0, 10] > 1e-6


def test_similarity_falls_with_distance(small):
    """In the embedded backbone cos(e(v), e(v')) falls as |v - v'| grows, from every v."""
    matrix = similarities(NumberEncoder(small, ["walking speed", "cadence"], "continuous", clip=2.5))
    for row in range(len(matrix)):
        assert (np.diff(matrix[row, row:]) < 0).all()
        assert (np.diff(matrix[row, : row + 1]) > 0).all()


def test_similarity_does_not_saturate(tiny, small):
    """Every tenth of the clip range moves a number; with the published unit vector some hardly do."""
    for text in (tiny.frozen.text, small):
        ours = NumberEncoder(text, ["walking speed"], "continuous", clip=2.5)
        published = NumberEncoder(text, ["walking speed"], "continuous", clip=2.5)
        published.direction = 2.5 * published.direction / published.direction.norm()  # v times a unit vector
        smallest = []
        for encoder in (ours, published):
            steps = 1 - np.diag(similarities(encoder), 1)
            smallest.append(steps.min() / steps.max())
        assert smallest[0] > 0.05
        assert smallest[0] > 2 * smallest[1]


def with_values(job: FoldJob, subjects: tuple[str, ...], change) -> FoldJob:
    """Returns a job whose parameters of some subjects are changed."""
    chosen = pl.col("subject").is_in(list(subjects))
    columns = [pl.when(chosen).then(change(pl.col(key))).otherwise(pl.col(key)).alias(key) for key in PARAMETERS]
    return replace(job, cohort=replace(job.cohort, videos=job.cohort.videos.with_columns(columns)))


def memories_are_equal(one: NumericMemory, other: NumericMemory) -> bool:
    return (
        np.array_equal(one.scaler.centre, other.scaler.centre)
        and np.array_equal(one.scaler.unit_per_v, other.scaler.unit_per_v)
        and np.array_equal(one.subsets, other.subsets)
        and np.array_equal(one.bins, other.bins)
        and torch.equal(one.features, other.features)
        and all(np.array_equal(a, b) for a, b in zip(one.records, other.records, strict=True))
    )


def test_held_out_subjects_change_nothing(tiny, tmp_path):
    """Scaling, subsets and memory are the same whatever the held-out subjects' numbers and labels are."""
    job = tiny.job(tmp_path)
    before = fit_memory(CONFIG, job)
    for change in (lambda c: c * 100 + 7, lambda c: None):
        assert memories_are_equal(before, fit_memory(CONFIG, with_values(job, job.fold.test, change)))
    label = pl.when(pl.col("subject").is_in(list(job.fold.test))).then(1 - pl.col("label")).otherwise("label")
    videos = job.cohort.videos.with_columns(label=label)
    assert memories_are_equal(before, fit_memory(CONFIG, replace(job, cohort=replace(job.cohort, videos=videos))))
    assert not memories_are_equal(before, fit_memory(CONFIG, with_values(job, ("S5",), lambda c: c * 1.5)))


def test_memory_by_hand(tiny, tmp_path):
    """Values are centred on the healthy training subjects, and a record is a video and a subset that it has whole."""
    memory = fit_memory(CONFIG, tiny.job(tmp_path))  # S2 S3 normal; S4 S5 S5 slow, once without cadence
    np.testing.assert_allclose(memory.scaler.centre, [1.25, 113.0, 62.0])
    np.testing.assert_allclose(memory.scaler.unit_per_v, [0.65 / 2.5, 28.0 / 2.5, 27.0 / 2.5])
    assert memory.subsets.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert memory.labels.tolist() == [0, 0, 1, 1, 1]
    every = [[video, subset] for video in range(5) for subset in range(3)]
    complete = [record for record in every if record[0] != 4 or record[1] == 1]
    assert memory.records[0].tolist() == complete[:6]
    assert memory.records[1].tolist() == complete[6:]
    assert memory.size == 13
    features = memory.record_features(np.array([[4, 1], [0, 2]]))
    raw = features * memory.spread + memory.centre
    torch.testing.assert_close(raw[0], (memory.features[4, 0] + memory.features[4, 2]) / 2)
    torch.testing.assert_close(raw[1], (memory.features[0, 1] + memory.features[0, 2]) / 2)
    values = [[1.1, 118, 58], [1.4, 108, 66], [0.6, 92, 35], [0.8, 85, 48], [0.75, np.nan, 44]]
    scaled = (np.array(values) - memory.scaler.centre) / memory.scaler.unit_per_v
    expected = np.where(np.isnan(scaled), -1, np.rint((np.nan_to_num(scaled) + 2.5) / 0.025))
    np.testing.assert_array_equal(memory.bins, expected)


def test_correlated_parameters_do_not_meet(tiny, tmp_path):
    """With a low limit the correlated parameters of this cohort stand alone, and the note says so."""
    config = CONFIG.with_values({"numeracy.max_correlation": 0.1})
    memory = fit_memory(config, tiny.job(tmp_path))
    assert memory.subsets.tolist() == [[0], [1], [2]]
    notes = memory.notes(tiny.frozen.names, tiny.cohort.classes, config.numeracy)
    assert notes == ["no 2 parameters have all |r| <= 0.1; records have 1"]


def test_draws_are_class_balanced(tiny, tmp_path):
    """A step's records are of all classes in equal number, though one class has more, and the generator decides them."""
    memory = fit_memory(CONFIG, tiny.job(tmp_path))
    records, labels = memory.draw(40, np.random.default_rng(0))
    assert np.bincount(labels).tolist() == [20, 20]
    assert all(
        [*record] in memory.records[label].tolist() for record, label in zip(records.tolist(), labels, strict=True)
    )
    again = memory.draw(40, np.random.default_rng(0))
    np.testing.assert_array_equal(records, again[0])
    odd = [np.bincount(memory.draw(3, np.random.default_rng(seed))[1], minlength=2).tolist() for seed in range(20)]
    assert {tuple(counts) for counts in odd} == {(1, 2), (2, 1)}


def test_class_without_records(tiny, tmp_path):
    """A class whose subjects have no numbers trains on the video loss, and the note names it."""
    job = with_values(tiny.job(tmp_path / "fold"), ("S1", "S2", "S3"), lambda c: None)
    memory = fit_memory(CONFIG, job)
    assert [len(r) for r in memory.records] == [0, 7]
    result = train_fold(CONFIG, job)
    assert result.notes == ("without numeric records, trained on the video loss alone: normal gait",)
    assert result.history[0]["video"] > 0
    assert result.history[0]["numeric"] == 0.0  # one class alone has no alternative
    assert len(result.predictions) == 6


@pytest.mark.parametrize("missing", ["no columns", "no values", "no variation"])
def test_cohort_without_numbers(tiny, tmp_path, missing):
    """Without usable numbers the numeric side is off, and the note says so."""
    job = tiny.job(tmp_path / "fold")
    if missing == "no columns":
        job = replace(job, cohort=replace(job.cohort, parameters=()))
    else:
        value = None if missing == "no values" else pl.lit(1.0)
        job = with_values(job, tuple(tiny.cohort.subjects()["subject"]), lambda c: value)
    assert fit_memory(CONFIG, job) is None
    result = train_fold(CONFIG, job)
    assert result.notes == ("no numeric records: the numeric side is off",)
    assert all(epoch["numeric"] == 0.0 for epoch in result.history)


def test_numbers_that_the_user_switched_off_need_no_note(tiny, tmp_path):
    """A configuration without numeracy trains without, and there is nothing to say about it."""
    config = CONFIG.with_values({"numeracy.enabled": False})
    assert train_fold(config, tiny.job(tmp_path / "fold")).notes == ()
    job = tiny.job(tmp_path / "none")
    assert train_fold(config, replace(job, cohort=replace(job.cohort, parameters=()))).notes == ()


@pytest.mark.parametrize("heads", ["per_class", "shared"])
def test_contrast_by_hand(heads):
    """A logit is tau times the cosine between g_c of the record and h of the class."""
    torch.manual_seed(0)
    contrast = NumericContrast(12, 3, NumeracyConfig(head_width=5, heads=heads, temperature=20.0))
    records, classes = torch.randn(4, 12), torch.randn(3, 12)

    def head(module, which: int, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(module.first_weight[which] @ x + module.first_bias[which])
        assert hidden.shape == (10,)  # 2 * head_width, as 128 is of 64
        return module.second_weight[which] @ hidden + module.second_bias[which]

    logits = contrast(records, classes)
    for m in range(4):
        for c in range(3):
            g = head(contrast.record_heads, c if heads == "per_class" else 0, records[m])
            h = head(contrast.class_head, 0, classes[c])
            assert float(logits[m, c].detach()) == pytest.approx(
                20 * float(torch.cosine_similarity(g, h, dim=0).detach()), abs=1e-4
            )
    assert contrast.log_scale.requires_grad


def test_all_encodings_train(tiny, tmp_path: Path):
    """A fold trains in each encoding, and each gives other losses."""
    losses = {
        encoding: train_fold(CONFIG.with_values({"numeracy.encoding": encoding}), tiny.job(tmp_path / encoding)).history
        for encoding in ENCODINGS
    }
    assert len({history[0]["numeric"] for history in losses.values()}) == len(ENCODINGS)
