"""A random CLIP in a Hugging Face folder, as a user's checkpoint would be, but small enough for tests."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

from tests.videos import write_video

START, END = "<|startoftext|>", "<|endoftext|>"
WORDS = [
    "a video of a person walking with short slow steps and a stooped trunk",
    "walking speed is minus zero point eight four, cadence is 92.9 steps/min",
    "one two three five six seven nine left right step time length cycle swing support double base toe angle",
    "healthy dementia with Lewy bodies Alzheimer's disease gait impairment normal slight mild moderate",
]


def save_tiny_clip(folder: Path, *, width: int = 32, layers: int = 2, image_size: int = 32, patch_size: int = 16,
                   joint: int = 24, seed: int = 0) -> Path:  # fmt: skip
    """Writes config.json, model.safetensors and a tokenizer, and returns the folder."""
    tokenizer = tiny_tokenizer()
    tower = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
    }
    config = CLIPConfig(
        text_config={**tower, "vocab_size": len(tokenizer), "max_position_embeddings": 77,
                     "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 1},
        vision_config={**tower, "image_size": image_size, "patch_size": patch_size},
        projection_dim=joint,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = CLIPModel(config)
        with torch.no_grad():  # transformers starts so small that a random tower ignores its input
            for parameter in model.parameters():
                if parameter.ndim >= 2:
                    parameter.mul_(3.0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Returns a byte-level BPE trained on a few sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=[START, "<pad>", END], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(WORDS, trainer)
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, start), (END, end)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=START, eos_token=END, pad_token="<pad>")


def write_tiny_cohort(folder: Path, *, subjects: int = 6, videos: int = 2, frames: int = 45) -> Path:
    """Writes a manifest of two groups, told apart by their gait parameters alone, and returns its path."""
    rng = np.random.default_rng(0)
    lines = ["subject,video,diagnosis,walking_speed,cadence,stride_length_left,swing_left"]
    for subject in range(subjects):
        ill = subject % 2
        for video in range(videos):
            name = f"S{subject}_{video}.mp4"
            write_video(folder / name, frames=frames, seed=10 * subject + video)
            numbers = rng.normal([1.2 - 0.4 * ill, 110 - 15 * ill, 1.3, 38], [0.1, 6, 0.1, 2])
            lines.append(",".join([f"S{subject}", name, "AD" if ill else "healthy", *(f"{n:.3f}" for n in numbers)]))
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"


def write_place(folder: Path) -> Path:
    """Writes a tiny cohort and a tiny backbone, for a search, into a folder and returns it."""
    (folder / "videos").mkdir()
    write_tiny_cohort(folder / "videos")
    save_tiny_clip(folder / "clip")
    return folder
