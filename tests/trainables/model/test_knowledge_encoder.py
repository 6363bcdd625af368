"""Clinical notions become vectors: by the backbone's own text tower, or by a language model of the user."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaModel,
)

from tests.errors import coded
from tests.tiny import save_tiny_clip, tiny_tokenizer
from trainables.errors import ConfigurationError
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import FrozenText, TextEncoder, load_backbone
from trainables.model.knowledge_encoder import encode_notions

NOTION = "Short slow steps, a stooped trunk and little arm swing on the left."
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": len(tiny_tokenizer()),
}


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> FrozenText:
    backbone = load_backbone(str(save_tiny_clip(tmp_path_factory.mktemp("knowledge") / "tiny")))
    return FrozenText(backbone, TextEncoder(backbone.clip))


def save(folder: Path, model: PreTrainedModel, *, model_max_length: int | None = 512) -> str:
    """Writes a random encoder with the tiny tokenizer, and returns its folder."""
    tokenizer = tiny_tokenizer()
    if model_max_length is not None:
        tokenizer.model_max_length = model_max_length
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim >= 2:
                weight.mul_(3.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def roberta(positions: int = 514) -> RobertaModel:
    return RobertaModel(RobertaConfig(**SIZES, max_position_embeddings=positions, pad_token_id=1))


def bert() -> BertModel:
    return BertModel(BertConfig(**SIZES, max_position_embeddings=512, pad_token_id=1))


def tiny_clip() -> CLIPModel:
    tower = {key: size for key, size in SIZES.items() if key != "vocab_size"}
    return CLIPModel(CLIPConfig(text_config=SIZES, vision_config=tower | {"image_size": 32, "patch_size": 16}))


def hidden_by_hand(model: PreTrainedModel, notion: str) -> Tensor:
    """Returns the last layer's states of a notion, [L, W]."""
    ids = tiny_tokenizer()(notion, return_tensors="pt").input_ids
    with torch.no_grad():
        return model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]


def ones(count: int) -> str:
    """Returns a text of so many tokens."""
    return " ".join(["one"] * count)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def test_clip_reads_long_notions_whole(text):
    """With the backbone's own tower nothing of a shipped notion is cut: its last word and its first change the vector."""
    notions = [d.notion for c in load_task("updrs").classes for d in c.descriptions]
    assert min(len(text.backbone.tokens(notion)) for notion in notions) > 2 * 75
    read = encode_notions("clip", notions, text)
    torch.testing.assert_close(read.norm(dim=-1), torch.ones(len(notions)))
    ends = encode_notions("clip", [notion.rsplit(" ", 1)[0] + " severe" for notion in notions], text)
    starts = encode_notions("clip", ["severe " + notion.split(" ", 1)[1] for notion in notions], text)
    assert (read - ends).abs().amax(1).min() > 1e-4
    assert (read - starts).abs().amax(1).min() > 1e-4


@pytest.mark.parametrize("make", [roberta, bert])
@pytest.mark.parametrize(("ending", "pooling"), [("", "first"), ("#first", "first"), ("#mean", "mean")])
def test_pooling(text, tmp_path, make, ending, pooling):
    """RoBERTa and BERT give their first token unless the mean is asked for."""
    torch.manual_seed(0)
    model = make()
    name = save(tmp_path / "encoder", model) + ending
    hidden = hidden_by_hand(model, NOTION)
    expected = unit(hidden[0] if pooling == "first" else hidden.mean(0))
    read = encode_notions(name, [NOTION, "Another."], text)
    assert read.shape == (2, 32)
    assert not read.requires_grad
    torch.testing.assert_close(read[0], expected, rtol=1e-5, atol=1e-6)


def test_minilm_is_averaged(text, tmp_path):
    """sentence-transformers' MiniLM, a BERT by architecture, is averaged over tokens."""
    model = bert()
    name = save(tmp_path / "all-MiniLM-L6", model)
    read = encode_notions(name, [NOTION], text)[0]
    torch.testing.assert_close(read, unit(hidden_by_hand(model, NOTION).mean(0)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model_max_length", [512, None])
def test_as_long_as_roberta_reads(text, tmp_path, model_max_length):
    """The longest notion that RoBERTa's 514 positions hold has 512 tokens, whatever the tokenizer says of itself."""
    name = save(tmp_path / "encoder", roberta(), model_max_length=model_max_length)
    assert encode_notions(name, [ones(510)], text).shape == (1, 32)
    with pytest.raises(ConfigurationError, check=coded("knowledge_encoder.too_long", "513", "512", "'one one")):
        encode_notions(name, [ones(511)], text)


def test_as_long_as_bert_reads(text, tmp_path):
    """BERT reads all of its 512 positions."""
    name = save(tmp_path / "encoder", bert(), model_max_length=None)
    assert encode_notions(name, [ones(510)], text).shape == (1, 32)
    with pytest.raises(ConfigurationError, check=coded("knowledge_encoder.too_long", "513", "512")):
        encode_notions(name, [ones(511)], text)


def test_other_pooling(text, tmp_path):
    """A pooling that does not exist is named, with those that do."""
    name = save(tmp_path / "encoder", bert())
    with pytest.raises(ConfigurationError, check=coded("knowledge_encoder.pooling", "'max'", "#first", "#mean")):
        encode_notions(f"{name}#max", [NOTION], text)


NEITHER, UNUSABLE = "knowledge_encoder.not_found", "knowledge_encoder.unusable"


@pytest.mark.parametrize(
    ("damage", "code", "values"),
    [
        ("missing", NEITHER, ("'clip'",)),
        ("no weights", UNUSABLE, ("no weights", "model.safetensors")),
        ("corrupt", UNUSABLE, ("model.safetensors", "not a safetensors file")),
        ("pickle", UNUSABLE, ("pytorch_model.bin", "safe_serialization=True")),
        ("no tokenizer", NEITHER, ("'clip'",)),
        ("other layers", NEITHER, ("'clip'",)),
        ("clip", NEITHER, ("'clip'",)),
    ],
)
def test_encoder_that_cannot_be_used(text, tmp_path, capfd, damage, code, values):
    """What is wrong with an encoder is one sentence."""
    folder = tmp_path / "encoder"
    if damage != "missing":
        save(folder, tiny_clip() if damage == "clip" else bert())
    if damage == "no weights":
        (folder / "model.safetensors").unlink()
    if damage == "corrupt":
        (folder / "model.safetensors").write_bytes(b"x" * 100)
    if damage == "pickle":
        torch.save(bert().state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    if damage == "no tokenizer":
        for file in folder.glob("tokenizer*"):
            file.unlink()
    if damage == "other layers":
        config = BertConfig(**SIZES | {"num_hidden_layers": 3}, pad_token_id=1)
        config.save_pretrained(folder)
    capfd.readouterr()
    with pytest.raises(ConfigurationError, check=coded(code, f"--knowledge-encoder {folder}", *values)):
        encode_notions(str(folder), [NOTION], text)
    assert capfd.readouterr() == ("", "")
