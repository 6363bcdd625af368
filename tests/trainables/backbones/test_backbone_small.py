"""The embedded backbone: a real CLIP in Hugging Face format that knows the words and sees the gait."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, CLIPImageProcessor, CLIPModel, CLIPTokenizer

from trainables.backbones.clips import FRAMES, LEAD_SCALE, LEFT, RIGHT, render_clips, through_codec
from trainables.backbones.recipe import Recipe
from trainables.backbones.tokenizer import CONTEXT, train_tokenizer
from trainables.backbones.train_small import Heads, _patch_losses, small_config, train
from trainables.knowledge.tasks import load_task
from trainables.model.backbone import SMALL
from trainables.simulation.cohort import COHORT_SEEDS
from trainables.simulation.walker import JOINT, JOINTS, PAIRED

TINY = Recipe(
    people=10, clips_each=1, steps=12, plain_first=3, poses_first=6, first_batch=4, batch=8, warmup=2, sentences=50
)


@pytest.fixture(scope="module")
def small() -> CLIPModel:
    return CLIPModel.from_pretrained(SMALL).eval()


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(SMALL)


def test_folder_is_small() -> None:
    """The backbone costs the repository at most 8 MB."""
    assert sum(p.stat().st_size for p in SMALL.iterdir()) <= 8_000_000


def test_folder_is_the_recipe_s_shape(small: CLIPModel, tokenizer: CLIPTokenizer) -> None:
    """Weights, tokenizer and training command agree on every size and special token."""
    expected = small_config(len(tokenizer))
    assert isinstance(AutoModel.from_pretrained(SMALL), CLIPModel)
    for part in ("vision_config", "text_config"):
        for key in ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"):
            assert getattr(getattr(small.config, part), key) == getattr(getattr(expected, part), key)
    assert small.config.text_config.eos_token_id == tokenizer.eos_token_id == len(tokenizer) - 1
    assert small.config.text_config.bos_token_id == tokenizer.bos_token_id == len(tokenizer) - 2
    assert small.config.text_config.max_position_embeddings == tokenizer.model_max_length == CONTEXT
    processor = CLIPImageProcessor.from_pretrained(SMALL)
    assert processor.crop_size["height"] == small.config.vision_config.image_size == 80


def test_a_frame_costs_at_most_60_mflop(small: CLIPModel) -> None:
    """The cost of a frame, counted as two operations per weight and token, allows trials on two cores."""
    tokens = (80 // 16) ** 2 + 1
    weights = sum(p.numel() for n, p in small.vision_model.named_parameters() if p.ndim == 2 and "embedding" not in n)
    patches = 2 * (tokens - 1) * small.vision_model.embeddings.patch_embedding.weight.numel()
    assert 2 * tokens * weights + patches < 60e6


def test_digits_are_single_tokens(tokenizer: CLIPTokenizer) -> None:
    """A number is read digit by digit, whatever stands around it."""
    assert tokenizer.tokenize("cadence is 92.9 steps/min")[2:6] == ["9</w>", "2</w>", ".</w>", "9</w>"]
    assert tokenizer.tokenize("1234") == ["1</w>", "2</w>", "3</w>", "4</w>"]


@pytest.mark.parametrize("auto", [AutoTokenizer, CLIPTokenizer])
def test_clinical_words_are_few_tokens(auto: type) -> None:
    """Every class name and keyword of the shipped tasks takes at most 1.5 tokens a word, and survives a round trip."""
    tokenizer = auto.from_pretrained(SMALL)
    for task in ("diagnosis", "updrs"):
        for known in load_task(task).classes:
            for phrase in (known.name, *(k for d in known.descriptions for k in d.keywords)):
                tokens = tokenizer.tokenize(phrase)
                assert len(tokens) <= 1.5 * len(phrase.replace("'", " ").split()) + 1, tokens
                text = tokenizer.decode(tokenizer(phrase)["input_ids"], skip_special_tokens=True)
                assert text.replace(" ", "") == phrase.lower().replace(" ", "")


def test_unknown_letters_have_tokens(tokenizer: CLIPTokenizer) -> None:
    """A word of any script is spelled in bytes, never an unknown token."""
    ids = tokenizer("Gang mit Schrittlänge 歩行")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids.index(tokenizer.eos_token_id) == len(ids) - 1


def test_tokenizer_training_is_deterministic() -> None:
    """The same texts give the same vocabulary and the same merges."""
    texts = ["shuffling gait of a person with parkinsonism", "long steps and a steady rhythm"] * 5
    first, *others = (train_tokenizer(texts, 600).backend_tokenizer.to_str() for _ in range(10))
    assert all(other == first for other in others)  # a map in another order each time shows up within a few


def test_training_people_are_in_no_cohort() -> None:
    """Every training subject has a seed that the cohort simulation refuses, and belongs to no group."""
    clips = render_clips(3, 2, 32, 0, 1)
    assert clips.pixels.shape == (6, FRAMES, 3, 32, 32)
    assert all(walk.stream[0] >= COHORT_SEEDS for walk in clips.walks)
    assert {(walk.subject.group, walk.subject.score) for walk in clips.walks} == {("", -1)}
    assert clips.joints.shape[:2] == (6, FRAMES)
    assert np.abs(clips.joints).max() < 0.7


def test_joints_are_the_rear_and_the_front_one() -> None:
    """Walking to the right, of each pair the first joint is further left; to the left, further right."""
    clips = render_clips(8, 1, 32, 9, 1)
    assert {walk.view.to_the_right for walk in clips.walks} == {True, False}
    for walk, joints in zip(clips.walks, clips.joints, strict=True):
        apart = joints[:, RIGHT, 0] - joints[:, LEFT, 0]
        assert ((apart if walk.view.to_the_right else -apart) >= 0).all()


def test_poses_do_not_depend_on_the_view() -> None:
    """A pose is in leg lengths from the pelvis: feet one leg below, the front ankle ahead; each leg leads in turn."""
    clips = render_clips(8, 1, 32, 9, 1)
    pose, leads = clips.poses[..., : 2 * len(JOINTS)].reshape(8, FRAMES, -1, 2), clips.poses[..., 2 * len(JOINTS) :]
    assert np.abs(pose[:, :, JOINT["pelvis"]]).max() == 0
    assert (pose[:, :, RIGHT, 0] >= pose[:, :, LEFT, 0]).all()
    assert np.abs(pose[:, :, JOINT["left_ankle"], 1] + 0.85).max() < 0.25
    assert np.allclose(np.abs(leads) / LEAD_SCALE, pose[:, :, RIGHT, 0] - pose[:, :, LEFT, 0], atol=1e-5)
    ankle = leads[..., PAIRED.index("ankle")]
    assert (ankle.min() < 0) & (ankle.max() > 0)


def test_patch_losses_of_heads_that_know_nothing() -> None:
    """Heads of zeros find the patch by chance, 1 in 25, and place each joint at its patch's middle."""
    heads = Heads(128, 128, 3, 2)
    for p in heads.parameters():
        torch.nn.init.zeros_(p)
    joints = torch.tensor(
        [[[-0.4, -0.4], [0.25, 0.05]]]
    )  # the middle of the first patch; 0.25 and 0.25 patches off one
    cells, offsets = _patch_losses(heads, torch.randn(1, 25, 128), joints)
    assert cells.item() == pytest.approx(np.log(25))
    assert offsets.item() == pytest.approx(2 * 0.25**2 / 4, rel=1e-4)


def test_codec_changes_little(tmp_path: Path) -> None:
    """Frames that went through H.264 are the same pictures, but not the same pixels."""
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 255, (8, 8, 8, 3), dtype=np.uint8), 8, axis=1).repeat(8, axis=2)
    there_and_back = through_codec(frames, quality=23)
    difference = np.abs(frames.astype(int) - there_and_back.astype(int))
    assert there_and_back.shape == frames.shape
    assert 0 < difference.mean() < 12


def test_features_tell_stooped_from_upright(small: CLIPModel, tokenizer: CLIPTokenizer) -> None:
    """For unseen people, the text 'stooped' is nearer to stooped walkers than to upright ones, and 'upright' the reverse."""
    clips = render_clips(60, 1, 80, 777, 2)
    pixels = torch.from_numpy(clips.pixels).float().flatten(0, 1) / 255
    processor = CLIPImageProcessor.from_pretrained(SMALL)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))
    with torch.no_grad():
        seen = small.vision_model(pixel_values=(pixels - mean) / std).pooler_output
        video = small.visual_projection(seen).view(60, FRAMES, -1).mean(dim=1)
        tokens = tokenizer(["severely stooped posture", "upright posture"], padding=True, return_tensors="pt")
        text = small.text_projection(small.text_model(**tokens).pooler_output)
    cosines = torch.nn.functional.cosine_similarity(video[:, None], text[None], dim=-1)
    lean = np.array([walk.gait.trunk_flexion for walk in clips.walks])
    preference = (cosines[:, 0] - cosines[:, 1]).numpy()
    assert np.corrcoef(preference, lean)[0, 1] > 0.6


def test_training_command_learns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twelve steps on ten people write a folder that loads and whose weights have moved."""
    train(TINY, tmp_path / "made")
    model = CLIPModel.from_pretrained(tmp_path / "made")
    assert len(CLIPTokenizer.from_pretrained(tmp_path / "made")) == model.config.text_config.vocab_size
    assert "10 clips of 10 people" in capsys.readouterr().out
    again = tmp_path / "again"
    train(TINY, again)
    weights = [CLIPModel.from_pretrained(f).visual_projection.weight for f in (tmp_path / "made", again)]
    assert torch.equal(*weights)
    train(Recipe(people=10, clips_each=1, steps=0, sentences=50), tmp_path / "untrained")
    assert not torch.equal(weights[0], CLIPModel.from_pretrained(tmp_path / "untrained").visual_projection.weight)
