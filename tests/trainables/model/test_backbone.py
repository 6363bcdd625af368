"""Backbones are read as transformers reads them, and what cannot be read is said in one sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel

from tests.errors import coded
from tests.tiny import save_tiny_clip, tiny_tokenizer
from trainables.errors import ConfigurationError
from trainables.model.backbone import FrozenText, TextEncoder, load_backbone, pad
from trainables.model.video_encoder import VideoEncoder

SENTENCES = [
    "a person",
    "walking speed is minus zero point eight four, cadence is 92.9 steps/min",
    "healthy",
    "short slow steps and a stooped trunk",
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("backbone") / "tiny")


def save_random_clip(folder: Path, *, text: dict, vision: dict, joint: int) -> Path:
    """Writes a random CLIP with different towers and a tokenizer whose end token stands where CLIP's does, at the end."""
    tokenizer = tiny_tokenizer()
    end = len(tokenizer) - 1
    config = CLIPConfig(
        text_config={"vocab_size": len(tokenizer), "eos_token_id": end, "bos_token_id": 0, "pad_token_id": 1, **text},
        vision_config=vision,
        projection_dim=joint,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SIZES = (
    {
        "text": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
        "vision": {
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 32,
            "patch_size": 8,
        },
        "joint": 24,
    },
    {
        "text": {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "max_position_embeddings": 40,
            "hidden_act": "gelu",
        },
        "vision": {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 48,
            "patch_size": 16,
            "hidden_act": "gelu",
        },
        "joint": 40,
    },
)


@pytest.fixture(scope="module", params=SIZES, ids=["one", "other"])
def random_clip(request, tmp_path_factory) -> Path:
    return save_random_clip(tmp_path_factory.mktemp("random") / "clip", **request.param)


def test_without_prompts_one_frame_is_plain_clip(random_clip):
    """Zero prompts and T = 1 give transformers' image features to float error, QuickGELU written as a SiLU."""
    backbone, clip = load_backbone(str(random_clip)), CLIPModel.from_pretrained(random_clip).eval()
    encoder = VideoEncoder(
        backbone.clip.vision_model, backbone.clip.visual_projection, frames=1, n_global=0, local=False, summary=False
    )
    assert backbone.clip.config.vision_config.hidden_act in ("silu", "gelu")
    size = backbone.image_size
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = clip.get_image_features(pixel_values=images).pooler_output
        torch.testing.assert_close(encoder(images.unsqueeze(1)).video, expected, rtol=1e-5, atol=1e-6)
    assert expected.std() > 0.01


def test_text_encoder_is_plain_clip(random_clip):
    """Padded sentences of different lengths have transformers' text features."""
    backbone, clip = load_backbone(str(random_clip)), CLIPModel.from_pretrained(random_clip).eval()
    start, end = 0, clip.config.text_config.eos_token_id
    ids = [[start, *backbone.tokens(sentence), end] for sentence in SENTENCES]
    longest = max(map(len, ids))
    padded = torch.tensor([sequence + [1] * (longest - len(sequence)) for sequence in ids])
    mask = torch.tensor([[1] * len(sequence) + [0] * (longest - len(sequence)) for sequence in ids])
    encoder = TextEncoder(backbone.clip)
    with torch.no_grad():
        expected = clip.get_text_features(input_ids=padded, attention_mask=mask).pooler_output
        ours = encoder(*pad([encoder.embed(sequence) for sequence in ids]))
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(encoder.read([encoder.embed(sequence) for sequence in ids], batch=3), ours)
    hidden = encoder.read([encoder.embed(sequence) for sequence in ids], project=False)
    assert hidden.shape == (len(ids), encoder.width)
    torch.testing.assert_close(clip.text_projection(hidden), ours)


def test_what_stands_behind_the_end_is_never_seen(tiny):
    """Tokens after a sequence's end do not change its feature, and a token before it does."""
    encoder = TextEncoder(load_backbone(str(tiny)).clip)
    tokens, end = torch.randn(1, 9, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([5])
    behind, before = tokens.clone(), tokens.clone()
    behind[:, 6:] = 7.0
    before[:, 3] = 7.0
    with torch.no_grad():
        torch.testing.assert_close(encoder(behind, end), encoder(tokens, end))
        assert (encoder(before, end) - encoder(tokens, end)).abs().max() > 1e-3


def test_long_text_is_read_whole(tiny):
    """A text longer than the context is the mean of its pieces, and its last word counts."""
    backbone = load_backbone(str(tiny))
    text = FrozenText(backbone, TextEncoder(backbone.clip))
    long = "walking with short slow steps " * 20
    ids = backbone.tokens(long)
    assert 75 < len(ids) < 150
    pieces = [text.encoder.read([text.sequence(part)])[0] for part in (ids[:75], ids[75:])]
    mean = sum(piece / piece.norm() for piece in pieces)
    read = text.read([long, long + "dementia", "healthy", ""])
    torch.testing.assert_close(read[0], mean / mean.norm())
    torch.testing.assert_close(read.norm(dim=-1), torch.ones(4))
    assert (read[0] - read[1]).abs().max() > 1e-3


def test_backbone_is_frozen_and_named(tiny, tmp_path):
    """No weight takes a gradient, and the hash changes with the weights and with the tokenizer."""
    backbone = load_backbone(str(tiny))
    assert not any(weight.requires_grad for weight in backbone.clip.parameters())
    assert not backbone.clip.training
    about = backbone.about()
    assert (about["image_size"], about["patch_size"], about["joint_width"], about["layers"]) == (32, 16, 24, 2)
    assert about["parameters"] == sum(w.numel() for w in load_file(tiny / "model.safetensors").values())
    assert load_backbone(str(shutil.copytree(tiny, tmp_path / "same"))).sha256 == backbone.sha256
    other = save_tiny_clip(tmp_path / "other", seed=1)
    assert load_backbone(str(other)).sha256 != backbone.sha256
    renamed = shutil.copytree(tiny, tmp_path / "tokenizer")
    (renamed / "tokenizer.json").write_text((renamed / "tokenizer.json").read_text() + "\n")
    assert load_backbone(str(renamed)).sha256 != backbone.sha256


def edit_config(folder: Path, tower: str, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    config[tower] |= changes
    (folder / "config.json").write_text(json.dumps(config))


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def corrupt(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"x" * 100)


def cut(folder: Path) -> None:
    contents = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(contents[: len(contents) // 2])


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    without_weights(folder)


def without_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def more_layers(folder: Path) -> None:
    edit_config(folder, "vision_config", num_hidden_layers=3)


def wider(folder: Path) -> None:
    edit_config(folder, "text_config", vocab_size=500)


def other_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "gait"}')


def small_vocabulary(folder: Path) -> None:
    edit_config(folder, "text_config", vocab_size=200)
    CLIPModel(CLIPConfig.from_pretrained(folder)).save_pretrained(folder)


@pytest.mark.parametrize(
    ("damage", "code", "values"),
    [
        (other_architecture, "backbone.not_clip", ("'bert'", "'clip'")),
        (unknown_architecture, "backbone.not_found", ("`gait`",)),
        (without_weights, "backbone.unusable", ("no weights", "model.safetensors")),
        (corrupt, "backbone.unusable", ("model.safetensors", "not a safetensors file")),
        (cut, "backbone.unusable", ("model.safetensors", "cut off")),
        (pickled, "backbone.unusable", ("pytorch_model.bin", "save_pretrained")),
        (more_layers, "backbone.weights_missing", ("16", "vision_model.encoder.layers.2")),
        (wider, "backbone.weights_missing", ("lacks 1 ", "text_model.embeddings.token")),
        (without_tokenizer, "backbone.tokenizer", ("tokenizer.json",)),
        (small_vocabulary, "backbone.tokenizer", ("knows 200",)),
    ],
)
def test_folder_that_cannot_be_used(tiny, tmp_path, capfd, damage, code, values):
    """What is wrong with a folder is one sentence that names it, and nothing else is printed."""
    folder = shutil.copytree(tiny, tmp_path / "clip")
    damage(folder)
    capfd.readouterr()
    with pytest.raises(ConfigurationError, check=coded(code, f"--backbone {folder}", *values)):
        load_backbone(str(folder))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["nobody/nothing", "nowhere/at/all"])
def test_id_that_does_not_exist(name):
    """A hub id that is not here, with no network, says what a backbone may be."""
    with pytest.raises(ConfigurationError, check=coded("backbone.not_found", f"--backbone {name}", "'small'")):
        load_backbone(name)
