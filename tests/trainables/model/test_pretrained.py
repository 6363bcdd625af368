"""Folders of pretrained models: each fault says its own reason, whichever option names the folder."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, CLIPModel

from tests.errors import coded
from tests.tiny import save_tiny_clip, tiny_tokenizer
from trainables.errors import ConfigurationError
from trainables.model.backbone import FrozenText, TextEncoder, load_backbone
from trainables.model.knowledge_encoder import encode_notions

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 598641023\n"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a whole folder of a tiny CLIP."""
    return save_tiny_clip(tmp_path_factory.mktemp("pretrained") / "tiny")


def shards(folder: Path, **options: str) -> None:
    """Writes the model again as shards."""
    model = CLIPModel.from_pretrained(folder)
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="100KB", **options)


def pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_text(POINTER)


def annexed_pointer(folder: Path) -> None:
    (folder / WEIGHTS).write_text("/annex/objects/MD5E-s598641023--0123456789abcdef.safetensors\n")


def annexed(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to(".git/annex/objects/Xx/Yy/model")


def unfetched_blob(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).symlink_to("../../blobs/abc")


def half(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def half_a_header(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:500])


def empty(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def zeros(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(bytes(1000))


def longer(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes() + b"more")


def login_page(folder: Path) -> None:
    (folder / WEIGHTS).write_text("<!DOCTYPE html><html><body>Please log in</body></html>")


def pickle(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "model.pt")
    (folder / "model.pt").replace(folder / WEIGHTS)


def unfinished(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / f"{WEIGHTS}.incomplete")


def missing_shard(folder: Path) -> None:
    shards(folder)
    sorted(folder.glob("*-of-*.safetensors"))[1].unlink()


def shard_pointer(folder: Path) -> None:
    shards(folder)
    sorted(folder.glob("*-of-*.safetensors"))[1].write_text(POINTER)


def half_a_shard(folder: Path) -> None:
    shards(folder)
    path = sorted(folder.glob("*-of-*.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-5])


def missing_index(folder: Path) -> None:
    shards(folder)
    (folder / f"{WEIGHTS}.index.json").unlink()


def half_an_index(folder: Path) -> None:
    shards(folder)
    path = folder / f"{WEIGHTS}.index.json"
    path.write_text(path.read_text()[:100])


def variant(folder: Path) -> None:
    model = CLIPModel.from_pretrained(folder).half()
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, variant="fp16")


def sharded_variant(folder: Path) -> None:
    shards(folder, variant="fp16")


def bin_alone(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def other_name(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "clip_vit.safetensors")


def keras(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "tf_model.h5")


def nothing(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def pointer_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(POINTER)


def half_a_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    path.write_text(path.read_text()[:300])


def half_a_configuration(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "cli')


def open_clip(folder: Path) -> None:
    (folder / "config.json").rename(folder / "open_clip_config.json")


def one_deeper(folder: Path) -> None:
    deep = folder / "snapshots" / "abc"
    deep.mkdir(parents=True)
    for path in folder.glob("*.*"):
        path.rename(deep / path.name)


FAULTS = [
    (pointer, (WEIGHTS, "'git lfs pull'")),
    (annexed_pointer, (WEIGHTS, "'git annex get'")),
    (annexed, (WEIGHTS, "a link to .git/annex/objects/Xx/Yy/model")),
    (unfetched_blob, (WEIGHTS, "a link to ../../blobs/abc")),
    (half, (WEIGHTS, "cut off", "of {whole} bytes")),
    (half_a_header, (WEIGHTS, "500 bytes")),
    (empty, (WEIGHTS, "empty")),
    (zeros, (WEIGHTS, "empty")),
    (longer, (WEIGHTS, "{whole};")),
    (login_page, (WEIGHTS, "web page")),
    (pickle, (WEIGHTS, "PyTorch", "safe_serialization=True")),
    (unfinished, (WEIGHTS, "(model.safetensors.incomplete)")),
    (missing_shard, ("lacks 1 of", "model-00002-of-")),
    (shard_pointer, ("model-00002-of-", "Git LFS pointer")),
    (half_a_shard, ("model-00001-of-", "cut off")),
    (missing_index, ("model-00001-of-", "no model.safetensors.index.json")),
    (half_an_index, ("model.safetensors.index.json", "JSON")),
    (variant, ("(model.fp16.safetensors)", 'variant="fp16"')),
    (sharded_variant, ("(model.", "fp16", 'variant="fp16"')),
    (bin_alone, ("pytorch_model.bin", "safe_serialization=True")),
    (other_name, (WEIGHTS, "but clip_vit.safetensors")),
    (keras, (WEIGHTS, "but tf_model.h5")),
    (nothing, ("no weights", WEIGHTS)),
    (pointer_tokenizer, ("tokenizer.json", "Git LFS pointer")),
    (half_a_tokenizer, ("tokenizer.json", "JSON")),
    (half_a_configuration, ("config.json", "JSON")),
    (open_clip, ("open_clip", "config.json")),
    (one_deeper, ("no config.json", "snapshots/abc")),
]


@pytest.mark.parametrize(("damage", "values"), FAULTS, ids=[damage.__name__ for damage, _ in FAULTS])
def test_each_fault_of_a_backbone_is_its_own_sentence(damage, values, tiny: Path, tmp_path: Path, capfd) -> None:
    """Nothing but the sentence is printed, and it says what to do."""
    folder = shutil.copytree(tiny, tmp_path / "clip", symlinks=True)
    whole = f"{(folder / WEIGHTS).stat().st_size:,}"
    damage(folder)
    capfd.readouterr()
    with pytest.raises(
        ConfigurationError,
        check=coded("backbone.unusable", f"--backbone {folder}", *(value.format(whole=whole) for value in values)),
    ):
        load_backbone(str(folder))
    assert capfd.readouterr() == ("", "")


def whole_shards(folder: Path) -> None:
    shards(folder)


def half_precision(folder: Path) -> None:
    half = {name: weight.half() for name, weight in load_file(folder / WEIGHTS).items()}
    save_file(half, folder / "half", metadata={"format": "pt"})
    (folder / "half").replace(folder / WEIGHTS)


def cache_of_the_hub(folder: Path) -> None:
    blobs = folder.with_name("blobs")
    blobs.mkdir()
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(blobs / str(number))
        path.symlink_to(Path("..") / "blobs" / str(number))


@pytest.mark.parametrize("layout", [whole_shards, half_precision, cache_of_the_hub])
def test_layouts_that_are_whole_are_read(layout, tiny: Path, tmp_path: Path) -> None:
    """Shards, another precision and links to blobs give the same model, in float32."""
    folder = shutil.copytree(tiny, tmp_path / "clip")
    layout(folder)
    one, other = load_backbone(str(tiny)).clip.state_dict(), load_backbone(str(folder)).clip.state_dict()
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=2e-3, atol=2e-3)
        assert other[name].dtype == weight.dtype


def test_a_folder_in_the_home_folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """~ is the home folder, as where a shell did not expand it."""
    shutil.copytree(tiny, tmp_path / "my clip?#1")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_backbone("~/my clip?#1").sha256 == load_backbone(str(tiny)).sha256


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("https://huggingface.co/openai/clip-vit-base-patch16", "is a web address; give the hub id, openai/clip-vit-base-patch16"),
        ("https://huggingface.co/openai/clip-vit-base-patch16/tree/main", "is a web address; give the hub id, openai/clip-vit-base-patch16"),
        ("https://example.org/clip.zip", "is a web address; download the model, and give its folder"),
        ("{folder}/model.safetensors", "is a file; give the folder that holds it and config.json, as {folder}"),
        ("{folder}/../link", "is a link to nowhere, which is not there"),
        ("{folder}/../missing", "is neither 'small' nor a folder or hub id"),
    ],
)  # fmt: skip
def test_names_that_are_not_a_folder(name: str, sentence: str, tiny: Path) -> None:
    """An address, a file, a dead link: what to give instead is said."""
    link = tiny.with_name("link")
    if not link.is_symlink():
        link.symlink_to("nowhere")
    given = name.format(folder=tiny)
    with pytest.raises(ConfigurationError) as caught:
        load_backbone(given)
    assert str(caught.value).startswith(f"--backbone {given} {sentence.format(folder=tiny)}")


@pytest.fixture(scope="module")
def text(tiny: Path) -> FrozenText:
    """Returns the text side of the tiny CLIP."""
    backbone = load_backbone(str(tiny))
    return FrozenText(backbone, TextEncoder(backbone.clip))


def save_bert(folder: Path) -> Path:
    """Writes a tiny BERT with a tokenizer."""
    tokenizer = tiny_tokenizer()
    tokenizer.model_max_length = 512
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    BertModel(BertConfig(**sizes, vocab_size=len(tokenizer))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("damage", "values"),
    [
        (pointer, (WEIGHTS, "Git LFS pointer")),
        (half, (WEIGHTS, "cut off")),
        (half_a_tokenizer, ("tokenizer.json", "JSON")),
    ],
)
def test_the_knowledge_encoder_says_the_same(damage, values, text: FrozenText, tmp_path: Path) -> None:
    """The other option that takes a model has the same sentences under its own name."""
    folder = save_bert(tmp_path / "bert")
    damage(folder)
    with pytest.raises(
        ConfigurationError, check=coded("knowledge_encoder.unusable", f"--knowledge-encoder {folder}", *values)
    ):
        encode_notions(str(folder), ["Short steps."], text)


def test_a_knowledge_encoders_folder_may_have_a_hash_sign(
    text: FrozenText, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows the last # is a pooling only where the whole name is not a folder; ~ is the home folder here too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    save_bert(tmp_path / "bert#2")
    first, mean, plain = (
        encode_notions(f"~/bert#2{ending}", ["Short steps."], text) for ending in ("#first", "#mean", "")
    )
    torch.testing.assert_close(first, plain)
    assert (first - mean).abs().max() > 1e-3
    assert os.listdir(tmp_path) == ["bert#2"]
