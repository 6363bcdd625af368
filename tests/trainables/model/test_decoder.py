"""The decoder of class features: its grammar, its generation, and what it says of a fold."""

import itertools
import re

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.tiny import save_tiny_clip
from tests.tiny_cohort import CONFIG, TinyCohort, make_cohort
from trainables.inference.class_descriptions import describe_fold
from trainables.inference.class_words import sentence
from trainables.inference.reader import train_reader
from trainables.inference.subject_records import SubjectRecords
from trainables.model.backbone import load_backbone
from trainables.model.decoder import ParameterDecoder, SentenceGrammar
from trainables.model.scaling import BINS
from trainables.settings import DecoderConfig
from trainables.study.fold_embeddings import FoldMaps
from trainables.study.records import DecodedValue, FoldResult
from trainables.training.fold import fit_memory, train_fold

PHRASES = ((0, 1, 4), (0, 2, 4), (3, 4), (0, 1, 2, 4))
"""Four parameters, three of which begin alike."""
SMALL = DecoderConfig(layers=1, heads=2, width=16)


def grammar() -> SentenceGrammar:
    return SentenceGrammar(phrases=PHRASES, words=5)


def decoder(*, seed: int = 0, parameters: int = 2, sharp: float = 1.0, phrases=PHRASES) -> ParameterDecoder:
    """Returns a decoder with random weights; sharp ones prefer some tokens clearly."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = ParameterDecoder(SentenceGrammar(phrases=phrases, words=5), 8, parameters, SMALL)
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim >= 2:
                    weight.mul_(sharp)
        return model.eval()


def features(count: int, seed: int = 0) -> Tensor:
    return functional.normalize(torch.randn(count, 8, generator=torch.Generator().manual_seed(seed)), dim=-1)


def log_probability(model: ParameterDecoder, feature: Tensor, tokens: list[int]) -> float:
    """Returns a sentence's log-probability among sentences of the grammar, read whole and without a cache."""
    words = model.language.transformer.wte(torch.tensor([tokens[:-1]], dtype=torch.long))
    with torch.no_grad():
        inputs = torch.cat([model.prefix(feature[None]).unsqueeze(1), words], dim=1)
        logits = model.language(inputs_embeds=inputs).logits[0]
    total = 0.0
    for place, token in enumerate(tokens):
        following = model.grammar.allowed(tokens[:place], model.most)
        assert token in following
        total += float(logits[place, following].log_softmax(-1)[following.index(token)])
    return total


def greedy_by_hand(model: ParameterDecoder, feature: Tensor) -> list[int]:
    """Returns the sentence that takes the likeliest allowed token each time, read again for every token."""
    tokens: list[int] = []
    while not tokens or tokens[-1] != model.grammar.end:
        words = model.language.transformer.wte(torch.tensor([tokens], dtype=torch.long))
        with torch.no_grad():
            inputs = torch.cat([model.prefix(feature[None]).unsqueeze(1), words], dim=1)
            logits = model.language(inputs_embeds=inputs).logits[0, -1]
        tokens.append(max(model.grammar.allowed(tokens, model.most), key=lambda t: float(logits[t])))
    return tokens


def written(model: ParameterDecoder, pairs: list[tuple[int, int]]) -> list[int]:
    return model.grammar.write(np.array([p for p, _ in pairs]), np.array([b for _, b in pairs]))


PAIRS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, BINS - 1)), min_size=1, max_size=4, unique_by=lambda pair: pair[0]
)


@given(PAIRS)
def test_what_is_written_is_read(pairs):
    """Reading a written sentence gives its parameters and numbers, and each of its tokens was allowed."""
    tokens = grammar().write(np.array([p for p, _ in pairs]), np.array([b for _, b in pairs]))
    assert grammar().read(tokens) == pairs
    assert len(tokens) <= grammar().longest(len(pairs))
    for place, token in enumerate(tokens):
        assert token in grammar().allowed(tokens[:place], 4)


@given(st.data())
def test_whatever_is_allowed_is_a_sentence(data):
    """Taking any allowed token each time ends in a sentence of few enough different parameters."""
    most = data.draw(st.integers(1, 4))
    about = data.draw(st.sets(st.integers(0, 3), min_size=most))
    tokens: list[int] = []
    while not tokens or tokens[-1] != grammar().end:
        tokens.append(data.draw(st.sampled_from(grammar().allowed(tokens, most, frozenset(about)))))
        assert len(tokens) <= grammar().longest(most)
    pairs = grammar().read(tokens)
    named = [p for p, _ in pairs]
    assert len(named) == len(set(named)) <= most
    assert set(named) <= about
    assert all(0 <= b < BINS for _, b in pairs)


def test_grammar_in_tokens(tmp_path):
    """Phrases are the backbone's own tokens, numbered without those that no name uses."""
    backbone = load_backbone(str(save_tiny_clip(tmp_path)))
    made = SentenceGrammar.of(backbone, ["cadence", "walking speed"])
    ids = [backbone.tokens("cadence is"), backbone.tokens("walking speed is")]
    used = sorted({*ids[0], *ids[1]})
    assert [[used[t] for t in phrase] for phrase in made.phrases] == ids
    assert made.size == len(used) + 2 + BINS


@pytest.mark.parametrize("tokens", [[], [0, 1, 4, 10], [0, 1, 4, 10, 5]])
def test_a_sentence_without_end_is_refused(tokens):
    """Reading what has no end says so."""
    with pytest.raises(ValueError, match="the sentence has no end"):
        grammar().read(tokens)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_random_weights_generate_sentences(seed, beams):
    """However bad the weights, what is generated has one to G parameters, each once, with their numbers."""
    for pairs in decoder(seed=seed, parameters=3, sharp=20.0).generate(features(5, seed), beams):
        named = [p for p, _ in pairs]
        assert 1 <= len(set(named)) == len(named) <= 3
        assert all(0 <= b < BINS for _, b in pairs)


def test_only_the_asked_parameters_are_named():
    """`about` limits the parameters."""
    model = decoder(parameters=2, sharp=20.0)
    for pairs in model.generate(features(6), about=frozenset({1, 2})):
        assert {p for p, _ in pairs} <= {1, 2}


@pytest.mark.parametrize("seed", range(5))
def test_one_beam_is_greedy(seed):
    """Generation with a cache and one beam is the likeliest allowed token each time."""
    model = decoder(seed=seed, parameters=3, sharp=8.0)
    batch = features(3, seed)
    for feature, pairs in zip(batch, model.generate(batch, 1), strict=True):
        assert written(model, pairs) == greedy_by_hand(model, feature)


def test_many_beams_find_the_likeliest_sentence():
    """With as many beams as there are sentences the answer is the likeliest of all, by brute force."""
    model = decoder(seed=1, parameters=1, sharp=8.0)
    every = [[(p, b)] for p, b in itertools.product(range(4), range(BINS))]
    for feature, pairs in zip(features(1), model.generate(features(1), len(every)), strict=True):
        best = max(every, key=lambda pairs: log_probability(model, feature, written(model, pairs)))
        assert pairs == best


@pytest.mark.parametrize("seed", range(6))
def test_three_beams_are_no_less_likely_than_greedy(seed):
    """On these cases three beams' sentence is at least as likely as the greedy one; beam search promises it of no case."""
    model = decoder(seed=seed, parameters=2, sharp=8.0)
    batch = features(2, seed)
    for feature, one, three in zip(batch, model.generate(batch, 1), model.generate(batch, 3), strict=True):
        likelihoods = [log_probability(model, feature, written(model, pairs)) for pairs in (one, three)]
        assert likelihoods[1] >= likelihoods[0] - 1e-4


def test_features_of_a_batch_do_not_mix():
    """A feature's sentence is the same alone and among others, with beams too."""
    model = decoder(seed=2, parameters=2, sharp=8.0)
    batch = features(4)
    for beams in (1, 3):
        alone = [model.generate(feature[None], beams)[0] for feature in batch]
        assert model.generate(batch, beams) == alone


def test_loss_by_hand():
    """The loss is smoothed cross-entropy over all tokens plus 0.2 times the expected number's distance."""
    model = decoder(seed=3, sharp=3.0)
    sentences = [written(model, [(0, 10), (2, 150)]), written(model, [(1, 200)])]
    batch = features(2)
    entropies, distances = [], []
    for feature, tokens in zip(batch, sentences, strict=True):
        words = model.language.transformer.wte(torch.tensor([tokens[:-1]]))
        inputs = torch.cat([model.prefix(feature[None]).unsqueeze(1), words], dim=1)
        logits = model.language(inputs_embeds=inputs).logits[0].detach()
        for place, token in enumerate(tokens):
            logs = logits[place].log_softmax(-1)
            entropies.append(-float(0.9 * logs[token] + 0.1 * logs.mean()))
            if token >= model.grammar.first_number:
                weights = logits[place, model.grammar.first_number :].softmax(-1)
                expected = sum(float(w) * (i - 100) / 100 for i, w in enumerate(weights))
                distances.append(abs(expected - (token - model.grammar.first_number - 100) / 100))
    assert len(distances) == 3
    by_hand = sum(entropies) / len(entropies) + 0.2 * sum(distances) / 3
    assert float(model.loss(batch, sentences).detach()) == pytest.approx(by_hand, rel=1e-4)


def test_overfits_three_records():
    """Trained on three records it says their numbers, to the bin."""
    model = decoder(parameters=2).train()
    batch = features(3)
    records = [[(0, 17), (2, 190)], [(1, 100), (2, 4)], [(3, 60)]]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(batch, [written(model, pairs) for pairs in records]).backward()
        optimizer.step()
    assert model.generate(batch, 1) == records
    assert model.generate(batch, 3) == records


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("decoder"))


@pytest.fixture(scope="module")
def described(tiny, tmp_path_factory) -> FoldResult:
    folder = tmp_path_factory.mktemp("described")
    job = tiny.job(folder, held_out=())
    train_fold(CONFIG, job)
    return describe_fold(job)


def test_a_trained_reader_says_its_records_numbers(tiny, tmp_path):
    """Whatever the language model names in a record, the number is the head's, within an eighth of the scale."""
    config = CONFIG.with_values({"decoder.steps": 100})
    job = tiny.job(tmp_path, held_out=())
    memory = fit_memory(config, job)
    units = SubjectRecords.of(memory, job.cohort.of_subjects(job.fold.train)["subject"].to_numpy(), 0)
    reader = train_reader(config, job, memory, units, torch.device("cpu"))
    records = np.concatenate(memory.records)
    features, off = memory.record_features(records), []
    for (video, subset), pairs in zip(records, reader.say(features, reader.present(features)), strict=True):
        assert {p for p, _ in pairs} == set(memory.subsets[subset].tolist())
        off += [abs(b - int(memory.bins[video, p])) for p, b in pairs]
    assert max(off) <= 25
    assert np.mean(off) <= 8


def test_numbers_that_are_given_are_said(tiny):
    """With numbers from elsewhere, beam search or not, each name is followed by its own number."""
    model = decoder(parameters=3, sharp=8.0)
    numbers = np.random.default_rng(0).integers(0, BINS, (4, 4))
    for beams in (1, 3):
        for row, pairs in zip(numbers, model.generate(features(4), beams, numbers=numbers), strict=True):
            assert pairs
            assert all(b == row[p] for p, b in pairs)


def test_each_feature_has_its_own_parameters():
    """Where fewer parameters may be named than a sentence holds, the sentence ends after them."""
    about = [frozenset({1}), frozenset({0, 3}), frozenset({2})]
    for allowed, pairs in zip(about, decoder(parameters=3, sharp=8.0).generate(features(3), 1, about), strict=True):
        assert 1 <= len(pairs) <= len(allowed)
        assert {p for p, _ in pairs} <= allowed


def test_words_alone_leave_numbers_out_of_the_loss():
    """The loss of the words is the same whatever the last number of a sentence is."""
    model = decoder(seed=3, sharp=3.0)
    losses = {float(model.loss(features(1), [written(model, [(0, 10), (2, last)])], words_alone=True).detach())
              for last in (3, 150)}  # fmt: skip
    both = {float(model.loss(features(1), [written(model, [(0, 10), (2, last)])]).detach()) for last in (3, 150)}
    assert len(both) == 2
    assert losses != both


def test_decoded_sentences_are_values(tiny, described):
    """Each class's sentence reads back as its parameters and values, in their units, inside the training range."""
    assert [decoded.label for decoded in described.decoded] == ["normal gait", "slow gait"]
    units = {p.name: p.unit for p in tiny.cohort.parameters}
    for decoded in described.decoded:
        parts = [re.fullmatch(r"(.+) is (-?[\d.]+) (\S+)", part) for part in decoded.sentence.split(", ")]
        assert 1 <= len(parts) <= 2
        for part, value in zip(parts, decoded.values, strict=True):
            assert part.group(1) == value.parameter
            assert float(part.group(2)) == pytest.approx(value.value, rel=5e-3)
            assert part.group(3) == value.unit == units[value.parameter]
            assert value.low <= value.median <= value.high


def test_decoded_values_stand_beside_the_classs_own(tiny, described):
    """Limits and median are of the class's training subjects, and a value is one the scaling can say."""
    keys = {p.name: p.key for p in tiny.cohort.parameters}
    limits = {
        "walking speed": (1.25 - 0.75, 1.25 + 0.75),
        "cadence": (112.1 - 28, 112.1 + 28),
        "step length left": (62 - 33, 62 + 33),
    }
    for index, decoded in enumerate(described.decoded):
        for value in decoded.values:
            own = tiny.cohort.videos.filter(label=index).group_by("subject").agg(pl.col(keys[value.parameter]).mean())
            means = own[keys[value.parameter]].to_numpy()
            deviation = 1.645 * means.std(ddof=1)
            expected = (means.mean() - deviation, means.mean(), means.mean() + deviation)
            assert (value.low, value.median, value.high) == pytest.approx(expected)
            low, high = limits[value.parameter]
            assert low - 1 <= value.value <= high + 1


def test_described_fold_is_read_and_not_trained_again(tiny, tmp_path):
    """A second description is the first one's file, and a fold without decoder or numbers stays as it is."""
    job = tiny.job(tmp_path / "fold", held_out=("S1",))
    train_fold(CONFIG, job)
    first = describe_fold(job)
    assert first.reconstruction
    stamp = (job.folder / "result.json").stat().st_mtime_ns
    again = describe_fold(job)
    assert again.decoded == first.decoded
    maps = FoldMaps.load(job.folder)
    assert maps is not None
    assert set(maps.labels.tolist()) == {0, 1}
    np.testing.assert_allclose(np.linalg.norm(maps.projected, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.diag(maps.similarity), 1, atol=1e-5)
    assert (job.folder / "result.json").stat().st_mtime_ns == stamp
    off = tiny.job(tmp_path / "off")
    train_fold(CONFIG.with_values({"decoder.enabled": False}), off)
    assert describe_fold(off).decoded == ()
    silent = tiny.job(tmp_path / "silent")
    train_fold(CONFIG.with_values({"numeracy.enabled": False}), silent)
    assert describe_fold(silent).reconstruction is None
    assert FoldMaps.load(silent.folder) is None


def test_beams_of_the_configuration(tiny, tmp_path):
    """Beam search describes a fold too, in one to G parameters."""
    job = tiny.job(tmp_path / "fold", held_out=())
    train_fold(CONFIG.with_values({"decoder.beams": 3}), job)
    decoded = describe_fold(job).decoded
    assert len(decoded) == 2
    assert all(1 <= len(d.values) <= 2 for d in decoded)


@pytest.mark.parametrize(
    ("value", "text"), [(0.8421, "0.842"), (92.94, "92.9"), (1234.5, "1234"), (999.7, "1000"), (-3.0, "-3")]
)
def test_numbers_of_a_sentence(value, text):
    """Three digits, or all before the point; never an exponent."""
    said = DecodedValue(parameter="stride length", unit="mm", value=value, median=0.0, low=0.0, high=0.0)
    assert sentence((said,)) == f"stride length is {text} mm"
