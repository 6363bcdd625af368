"""What the text encoder reads for each class, and how clinical knowledge enters."""

import pytest
import torch
from torch import Tensor

from tests.errors import coded
from tests.tiny import save_tiny_clip
from trainables.errors import ConfigurationError
from trainables.knowledge.tasks import ClassKnowledge, Description, Task
from trainables.model.backbone import FrozenText, TextEncoder, load_backbone
from trainables.model.text_prompts import ClassPrompts
from trainables.settings import TextConfig


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> FrozenText:
    backbone = load_backbone(str(save_tiny_clip(tmp_path_factory.mktemp("prompts") / "tiny")))
    return FrozenText(backbone, TextEncoder(backbone.clip))


def task(*, names=("healthy", "dementia with Lewy bodies"), notions=("A steady gait.", "Short slow steps.")) -> Task:
    """Returns a task of two classes, the second with two descriptions."""
    first = (Description(notion=notions[0], keywords=("long steps", "arm swing")),)
    second = (Description(notion=notions[1], keywords=("short steps",)), Description(notion="Stooped trunk."))
    classes = tuple(
        ClassKnowledge(value=str(i), name=name, descriptions=d)
        for i, (name, d) in enumerate(zip(names, (first, second), strict=True))
    )
    return Task(name="t", title="t", label="l", ordinal=False, healthy=None, classes=classes)


def prompts(text: FrozenText, of: Task | None = None, *, seed: int = 0, **options) -> ClassPrompts:
    of = of or task()
    config = TextConfig(**{"n_ctx": 4, "context_init": "normal"} | options)
    notions = text.read([d.notion for c in of.classes for d in c.descriptions]) if config.knowledge else None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ClassPrompts(of, config, text, notions)


def features(model: ClassPrompts, text: FrozenText) -> Tensor:
    with torch.no_grad():
        return model(text.encoder)


def train(model: ClassPrompts, text: FrozenText, steps: int) -> Tensor:
    """Pulls the class features apart, and returns the gradient of the last layer at the first step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = None
    target = torch.randn(model.classes, text.backbone.width, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad()
        (model(text.encoder) * target).sum().backward()
        first = model.projector.second[0].weight.grad.clone() if first is None else first
        optimizer.step()
    return first


@pytest.mark.parametrize("n_ctx", [0, 4, 20])
def test_sequence_and_true_end(text, n_ctx):
    """A prompt is start, context, keywords, class name and end, in this order, and is read at its own end."""
    model = prompts(text, n_ctx=n_ctx, knowledge=False)
    tokens, tokenizer = model.tokens(), text.backbone.tokenizer
    written = ["long steps, arm swing, healthy", "short steps, dementia with Lewy bodies", "dementia with Lewy bodies"]
    for row, (sentence, owner) in enumerate(zip(written, (0, 1, 1), strict=True)):
        ids = text.backbone.tokens(sentence)
        end = int(model.end[row])
        assert end == 1 + n_ctx + len(ids)
        assert torch.equal(tokens[row, :1], text.encoder.embed([tokenizer.bos_token_id]))
        assert torch.equal(tokens[row, 1 : 1 + n_ctx], model.context[owner])
        assert torch.equal(tokens[row, 1 + n_ctx : end], text.encoder.embed(ids))
        assert torch.equal(tokens[row, end], text.encoder.embed([tokenizer.eos_token_id])[0])


@pytest.mark.parametrize("n_ctx", [0, 20])
def test_class_name_is_read(text, n_ctx):
    """Another class name gives another feature of this class and of no other, however long the context is."""
    one = features(prompts(text, n_ctx=n_ctx), text)
    other = features(prompts(text, task(names=("healthy", "Alzheimer's disease")), n_ctx=n_ctx), text)
    torch.testing.assert_close(one[0], other[0])
    assert (one[1] - other[1]).abs().max() > 1e-3


def test_nothing_behind_the_end_is_read(text):
    """What stands in the padding behind a prompt's end does not matter."""
    model = prompts(text)
    before = features(model, text)
    for row, end in enumerate(model.end.tolist()):
        model.words[row, end - model.context.shape[1] :] = 5.0
    torch.testing.assert_close(features(model, text), before)
    model.words[0, 0] = 5.0
    assert (features(model, text) - before).abs().max() > 1e-3


def test_descriptions_are_averaged(text):
    """A class's feature is the unit mean of its descriptions' unit features."""
    model = prompts(text)
    with torch.no_grad():
        each = torch.nn.functional.normalize(text.encoder(model.tokens(), model.end), dim=-1)
    mean = (each[1] + each[2]) / 2
    read = features(model, text)
    torch.testing.assert_close(read[0], each[0])
    torch.testing.assert_close(read[1], mean / mean.norm())


def test_a_prompt_too_long_names_the_context_that_fits(text):
    """The error says class, length and the longest n_ctx; that one is accepted and the next is not."""
    words = len(text.backbone.tokens("long steps, arm swing, healthy"))
    longest = 77 - 2 - words
    prompts(text, n_ctx=longest)
    with pytest.raises(
        ConfigurationError,
        check=coded("prompts.text_too_long", "'healthy'", "78", "77", f"n_ctx) that fits is {longest}"),
    ):
        prompts(text, n_ctx=longest + 1)


def test_a_class_name_too_long_for_any_context(text):
    """Where the words alone are too many, the error gives their own length and says to shorten them."""
    name = "short slow steps " * 30
    alone = len(text.backbone.tokens(f"short steps, {name}")) + 2
    with pytest.raises(ConfigurationError, check=coded("prompts.text_too_long", str(alone), "77")):
        prompts(text, task(names=("healthy", name)), n_ctx=5)


def test_keywords_off(text):
    """Without keywords only the class name follows the context."""
    model = prompts(text, keywords=False)
    lengths = [len(text.backbone.tokens(name)) for name in ("healthy", "dementia with Lewy bodies")]
    assert model.end.tolist() == [1 + 4 + lengths[0], 1 + 4 + lengths[1], 1 + 4 + lengths[1]]
    assert (features(model, text) - features(prompts(text), text)).abs().max() > 1e-3


def test_knowledge_off(text):
    """Without knowledge there is no projector, and the notions change nothing."""
    model = prompts(text, knowledge=False)
    assert model.projector is None
    assert [name for name, _ in model.named_parameters()] == ["context"]
    other = prompts(text, task(notions=("Other.", "Words.")), knowledge=False)
    assert torch.equal(features(model, text), features(other, text))


@pytest.mark.parametrize(("projector", "copies"), [("per_class", 2), ("shared", 1)])
def test_projector_shapes(text, projector, copies):
    """There is a projector for each class, or one for all, of the asked width."""
    model = prompts(text, projector=projector, bottleneck=12)
    assert len(model.projector.first) == len(model.projector.second) == copies
    assert {tuple(layer.weight.shape) for layer in model.projector.first} == {(12, text.backbone.width)}
    assert {tuple(layer.weight.shape) for layer in model.projector.second} == {(text.encoder.width, 12)}
    shift = model.projector(model.notions, model.owner)
    assert shift.shape == (3, text.encoder.width)


def test_projector_by_hand(text):
    """The context is shifted by Linear - ReLU - Linear of the notion, the same for all n_ctx tokens."""
    model = prompts(text, projector="per_class")
    train(model, text, 3)
    for row, owner in enumerate((0, 1, 1)):
        first, second = model.projector.first[owner], model.projector.second[owner]
        hidden = (first.weight @ model.notions[row] + first.bias).clamp(min=0)
        shift = second.weight @ hidden + second.bias
        assert shift.abs().max() > 1e-3
        torch.testing.assert_close(model.tokens()[row, 1:5], model.context[owner] + shift)


def test_context_inits(text):
    """The context starts as zeros, as small noise of the seed, or as words repeated to its length."""
    assert not prompts(text, context_init="zeros").context.any()
    normal = prompts(text, context_init="normal", n_ctx=20).context
    assert 0.018 < normal.detach().std() < 0.022
    assert not torch.equal(normal[0], normal[1])
    assert not torch.equal(normal, prompts(text, context_init="normal", n_ctx=20, seed=1).context)
    ids = text.backbone.tokens("a video of a person walking")
    words = prompts(text, context_init="words", n_ctx=len(ids) + 2).context
    for context in words:
        assert torch.equal(context, text.encoder.embed([*ids, *ids[:2]]))


@pytest.mark.parametrize("projector", ["per_class", "shared"])
def test_knowledge_has_a_gradient_from_the_first_step(text, projector):
    """The last layer starts at zero and has a gradient at once: the released code's zero layers are not copied."""
    model = prompts(text, projector=projector)
    assert not any(layer.weight.any() for layer in model.projector.second)
    assert all(layer.weight.abs().max() > 0 for layer in model.projector.first)
    before = [layer.weight.clone() for layer in (*model.projector.first, *model.projector.second)]
    assert train(model, text, 20).abs().max() > 1e-6
    after = [layer.weight for layer in (*model.projector.first, *model.projector.second)]
    assert all((new - old).abs().max() > 1e-3 for new, old in zip(after, before, strict=True))


def test_trained_features_depend_on_the_notion(text):
    """After twenty steps another notion in the same model gives other features of its class alone."""
    model = prompts(text)
    train(model, text, 20)
    before = features(model, text)
    other = task(notions=("A steady gait.", "Loss of postural reflexes, freezing, festination."))
    model.notions.copy_(text.read([d.notion for c in other.classes for d in c.descriptions]))
    after = features(model, text)
    torch.testing.assert_close(after[0], before[0])
    assert (after[1] - before[1]).abs().max() > 1e-3


def test_only_prompts_take_a_gradient(text):
    """Training reaches the context and the projector, and nothing of the text encoder."""
    model = prompts(text)
    train(model, text, 2)
    assert all(weight.grad is not None and weight.grad.any() for weight in model.parameters())
    assert all(weight.grad is None for weight in text.encoder.parameters())
