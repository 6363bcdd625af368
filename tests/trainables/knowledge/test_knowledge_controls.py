"""Controls of knowledge, and what the projector reads of it: content that is swapped, absent, or told apart."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.tiny import save_tiny_clip
from tests.tiny_cohort import CONFIG, TASK, TinyCohort, make_cohort
from trainables.knowledge.controls import FOREIGN_PHRASES, derangement, with_knowledge
from trainables.knowledge.tasks import Task, load_task, plain_task
from trainables.model.backbone import load_backbone
from trainables.model.knowledge_encoder import encode_notions, random_notions, whiten
from trainables.settings import NOTIONS, TextConfig
from trainables.training.distributed import Workers
from trainables.training.fold import check_prompts, prepare, train_fold
from trainables.training.frozen import FrozenFeatures


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("controls"))


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> FrozenFeatures:
    backbone = load_backbone(str(save_tiny_clip(tmp_path_factory.mktemp("frozen") / "tiny")))
    return FrozenFeatures(backbone, load_task("updrs"), [])


def notions(count: int = 12, width: int = 40, seed: int = 0) -> Tensor:
    """Returns unit vectors that nearly coincide, as notions do."""
    generator = torch.Generator().manual_seed(seed)
    common = 4 * torch.randn(1, width, generator=generator)
    strengths = torch.linspace(1.5, 0.1, width)
    return torch.nn.functional.normalize(common + strengths * torch.randn(count, width, generator=generator), dim=-1)


def distances(points: Tensor) -> Tensor:
    """Returns the distance of each pair, [K (K - 1) / 2]."""
    return torch.nn.functional.pdist(points.double())


def words(task: Task) -> Iterator[str]:
    for known in task.classes:
        for description in known.descriptions:
            yield from description.keywords


@given(count=st.integers(2, 20), seed=st.integers(0, 10_000))
def test_no_class_keeps_its_place(count: int, seed: int) -> None:
    """A derangement is a permutation without a fixed point, the same for the same seed."""
    order = derangement(count, np.random.default_rng(seed))
    assert sorted(order) == list(range(count))
    assert all(place != i for i, place in enumerate(order))
    assert derangement(count, np.random.default_rng(seed)) == order


def test_own_knowledge_is_the_tasks() -> None:
    """Without a control nothing changes."""
    task = load_task("updrs")
    assert with_knowledge(task, "own", 3) == task


@settings(max_examples=20)
@given(seed=st.integers(0, 1000))
def test_swapped_knowledge_is_another_classs(seed: int) -> None:
    """Names and values stay; notions, keywords and sources come whole from another class, and none is lost."""
    task = load_task("updrs")
    swapped = with_knowledge(task, "swapped", seed)
    assert [(c.value, c.name) for c in swapped.classes] == [(c.value, c.name) for c in task.classes]
    donors = [[c.descriptions for c in task.classes].index(c.descriptions) for c in swapped.classes]
    assert sorted(donors) == [0, 1, 2, 3]
    assert all(donor != own for own, donor in enumerate(donors))


def test_seeds_draw_other_controls() -> None:
    """Over some seeds more than one permutation and more than one set of phrases is drawn."""
    task = load_task("updrs")
    for source in ("swapped", "random"):
        assert len({with_knowledge(task, source, seed) for seed in range(10)}) > 1
        assert with_knowledge(task, source, 5) == with_knowledge(task, source, 5)


def test_random_knowledge_says_nothing_of_gait() -> None:
    """Each description has as many keywords as before, and none shares a word with the task."""
    task = load_task("diagnosis")
    control = with_knowledge(task, "random", 0)
    counts = [[len(d.keywords) for d in c.descriptions] for c in task.classes]
    assert [[len(d.keywords) for d in c.descriptions] for c in control.classes] == counts
    assert set(words(control)) <= set(FOREIGN_PHRASES)
    clinical = {
        word for name in ("diagnosis", "diagnosis5", "updrs") for w in words(load_task(name)) for word in w.split()
    }
    assert not clinical & {word for phrase in FOREIGN_PHRASES for word in phrase.split()}
    assert [c.name for c in control.classes] == [c.name for c in task.classes]


def test_raw_notions_are_untouched() -> None:
    """The published way."""
    given = notions()
    assert whiten(given, "raw") is given


@pytest.mark.parametrize("how", ["centred", "whitened"])
def test_notions_are_centred(how: str) -> None:
    """Their mean is zero and their mean squared length 1, in the encoder's own space and number format."""
    read = whiten(notions(), how)
    assert (read.shape, read.dtype) == (notions().shape, notions().dtype)
    torch.testing.assert_close(read.mean(0), torch.zeros(40), atol=1e-6, rtol=0)
    assert float(read.square().sum(1).mean()) == pytest.approx(1, abs=1e-5)


def test_whitening_evens_strengths_and_keeps_their_order() -> None:
    """A singular value s becomes s / sqrt(s^2 + mean of s^2) up to one factor; the directions stay."""
    centred = notions().double() - notions().double().mean(0)
    _, strengths, right = torch.linalg.svd(centred, full_matrices=False)
    strengths = strengths[:11]
    expected = strengths / (strengths.square() + strengths.square().mean()).sqrt()
    read = whiten(notions(), "whitened").double()
    got = (read @ right[:11].T).square().sum(0).sqrt()
    torch.testing.assert_close(got / got[0], expected / expected[0], atol=1e-4, rtol=1e-3)
    assert strengths[-1] / strengths[0] < got[-1] / got[0] < 1


def test_whitening_in_full_would_leave_nothing_of_the_content() -> None:
    """Orthonormal scores of K points are equally far apart whatever they say; in our form near texts stay near."""
    given = notions()
    left, _, _ = torch.linalg.svd((given - given.mean(0)).double(), full_matrices=False)
    full = distances(left[:, :11])
    torch.testing.assert_close(full, full[:1].expand(len(full)), atol=1e-6, rtol=0)
    before, after = distances(given), distances(whiten(given, "whitened"))
    assert np.corrcoef(before.argsort().argsort(), after.argsort().argsort())[0, 1] > 0.9


@pytest.mark.parametrize("how", NOTIONS)
def test_notions_that_are_all_alike(how: str) -> None:
    """Nothing to tell apart is zeros, not NaN."""
    assert whiten(torch.ones(3, 5) / 5**0.5, how).isfinite().all()


def test_random_vectors_have_unit_length_and_a_seed() -> None:
    """They are as many and as wide as the notions, the same for the same seed, and unlike each other."""
    drawn = random_notions(notions(), 1)
    torch.testing.assert_close(drawn.norm(dim=-1), torch.ones(12))
    assert torch.equal(drawn, random_notions(notions(), 1))
    assert not torch.equal(drawn, random_notions(notions(), 2))


def test_a_configuration_reads_the_notions_that_it_names(frozen) -> None:
    """Own, another class's in the order of the classes, random vectors, or none."""
    read = encode_notions("clip", frozen.task.notions(), frozen.text)
    assert torch.equal(frozen.notions(TextConfig(notions="raw"), 0), read)
    torch.testing.assert_close(frozen.notions(TextConfig(), 0), whiten(read, "whitened"))
    swapped = with_knowledge(frozen.task, "swapped", 4).notions()
    rows = [frozen.task.notions().index(text) for text in swapped]
    assert torch.equal(frozen.notions(TextConfig(notions="raw", knowledge_source="swapped"), 4), read[rows])
    drawn = frozen.notions(TextConfig(notions="raw", knowledge_source="random"), 4)
    assert torch.equal(drawn, random_notions(read, 4))
    assert frozen.notions(TextConfig(knowledge=False), 0) is None


def test_a_label_without_knowledge_has_no_notions(frozen) -> None:
    """Nothing is embedded where nobody wrote anything, and training goes without a projector."""
    plain = FrozenFeatures(frozen.backbone, plain_task("impaired", ["no", "yes"]), [])
    assert plain.notions(TextConfig(), 0) is None


@pytest.mark.parametrize("source", ["swapped", "random"])
def test_a_control_changes_the_answers_before_and_after_training(tiny, tmp_path, source: str) -> None:
    """The keywords are exchanged from the first step on, and what is trained on them differs too."""
    config = CONFIG.with_values({"text.knowledge_source": source})
    at_start = [
        prepare(c, tiny.job(tmp_path / "none"), Workers(), torch.device("cpu")).model.class_features()
        for c in (CONFIG, config)
    ]
    assert (at_start[0] - at_start[1]).abs().max() > 1e-3
    own, control = (train_fold(c, tiny.job(tmp_path / str(c == CONFIG))) for c in (CONFIG, config))
    answers = [np.array(r.predictions["probabilities"].to_list()) for r in (own, control)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    assert control.config["text.knowledge_source"] == source


def test_swapped_knowledge_trains_with_each_classs_number_of_descriptions(tiny) -> None:
    """Classes may have different numbers of descriptions, which move with them."""
    assert [len(c.descriptions) for c in TASK.classes] == [1, 2]
    config = CONFIG.with_values({"text.knowledge_source": "swapped"})
    check_prompts(config, tiny.frozen.backbone, tiny.task)
    model = prepare(config, tiny.job(tiny.cache.parent / "none"), Workers(), torch.device("cpu")).model
    assert model.prompts.owner == [0, 0, 1]
