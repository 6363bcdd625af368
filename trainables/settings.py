"""The sections of a configuration: every setting with its unit, checked when it is made."""

import math
from dataclasses import dataclass
from typing import Literal

from trainables.errors import ConfigurationError

CONTEXT_INITS = ("zeros", "normal", "words")


PER_CLASS_OR_SHARED = ("per_class", "shared")


KNOWLEDGE_SOURCES = ("own", "swapped", "random")


NOTIONS = ("raw", "centred", "whitened")


ENCODINGS = ("continuous", "position", "digits", "words")


PRECISIONS = ("auto", "float32", "bf16")


GPU_STEPS = ("eager", "graph", "compiled")


TAILS = ("shift", "pad")


READOUTS = ("off", "statistics", "convolution")


LARGEST_SEED = 2**31 - 1
"""What NumPy takes as a seed, with room for the seeds that are derived from it."""


def require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise ConfigurationError(f"{name} is {value!r}, but must be {allowed}", code="setting.range")


def _positive(section: str, **values: float) -> None:
    for name, value in values.items():
        require(math.isfinite(value) and value > 0, f"{section}.{name}", value, "a number above 0")


def _not_negative(section: str, **values: float) -> None:
    for name, value in values.items():
        require(math.isfinite(value) and value >= 0, f"{section}.{name}", value, "a number of at least 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoConfig:
    """What is cut from a video, and the prompts inside the frozen vision transformer."""

    frames: int = 16
    """T: frames that the prompted tower reads, taken evenly from a window. 16 of 70 are 6.9 a second, above twice a fast
    walker's 2.5 steps (docs/decisions/0017); 70 in the paper, 8 in Vita-CLIP."""
    window: int = 70
    """Frames of a window at 30 frames/s."""
    stride: int = 25
    """Frames between the starts of two training windows; held-out windows do not overlap."""
    min_tail: int = 20
    """Frames that no whole window shows must be at least this many to become a last window."""
    tail: Literal["shift", "pad"] = "shift"
    """The last window: moved back to the end of the video, or, as published, padded with the last frame. A video
    shorter than a window is padded either way."""
    n_global: int = 8
    """Global prompt tokens in each layer; 0 is off."""
    local: bool = True
    """One prompt token a frame, shown to every frame."""
    summary: bool = True
    """One token a frame that attends over time."""
    time_positions: bool = True
    """Whether the summary tokens' attention learns positions in time; without them it sees a set of frames."""
    prompts_from: str = ""
    """A published Vita-CLIP checkpoint whose prompts training starts from; '' starts from small random ones."""
    prompts_sha256: str = ""
    """Of that file."""

    def __post_init__(self) -> None:
        require(self.tail in TAILS, "video.tail", self.tail, f"one of {TAILS}")
        _positive("video", frames=self.frames, window=self.window, stride=self.stride, min_tail=self.min_tail)
        _not_negative("video", n_global=self.n_global)
        require(self.frames <= self.window, "video.frames", self.frames, f"at most the window's {self.window} frames")


@dataclass(frozen=True, kw_only=True, slots=True)
class AugmentConfig:
    """What is changed in training windows, the same for all frames of one; off by default, as published.

    The motion read-out and the anchor to the frozen features read the window as it was filmed.
    """

    light: float = 0.0
    """Largest change of contrast, as a share; brightness changes by up to half of it."""
    shift: float = 0.0
    """Largest shift in either direction, in sides of the frame."""
    scale: float = 0.0
    """Largest change of size, as a share."""
    mirror: bool = False
    """Exchange left and right in half of the windows, in the picture and among the window's own parameters. Not for labels
    that name a side or a direction."""

    def __post_init__(self) -> None:
        for name in ("light", "shift", "scale"):
            value = getattr(self, name)
            require(0 <= value < 1, f"augment.{name}", value, "a share of at least 0 and below 1")

    @property
    def any(self) -> bool:
        """Whether anything is changed."""
        return bool(self.light or self.shift or self.scale or self.mirror)


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionConfig:
    """What is read from the un-prompted tower's tokens over all frames of a window, and added to CLIP's answer."""

    readout: Literal["off", "statistics", "convolution"] = "statistics"
    """off: the published method. statistics: order and rhythm, read by a linear map that starts from a ridge regression in
    closed form. convolution: learned convolutions over the frame features."""
    components: int = 64
    """Principal components of the statistics."""
    penalty: float = 10.0
    """Of the ridge regression, in windows."""
    share: float = 0.5
    """What CLIP's probabilities count in the scores that the statistics complete."""
    temperature: float = 4.0
    """Of the scores, which lie around 0 and 1."""

    def __post_init__(self) -> None:
        require(self.readout in READOUTS, "motion.readout", self.readout, f"one of {READOUTS}")
        _positive("motion", components=self.components, penalty=self.penalty, temperature=self.temperature)
        _not_negative("motion", share=self.share)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """The knowledge-aware prompt of each class."""

    n_ctx: int = 8
    """Prompt length: learnable context tokens before the keywords and the class name."""
    context_init: Literal["zeros", "normal", "words"] = "zeros"
    """How the context starts: zeros, normal with standard deviation 0.02, or the words 'a video of a person walking'."""
    knowledge: bool = True
    """Whether the clinical notion's embedding shifts the context."""
    knowledge_source: Literal["own", "swapped", "random"] = "own"
    """Whose notions and keywords a class is given. Controls: another class's (swapped), or ones that say nothing (random)."""
    keywords: bool = True
    """Whether the class's keywords stand before its name."""
    notions: Literal["raw", "centred", "whitened"] = "whitened"
    """How the projector reads the notions' embeddings: as they are (published), without what they share, or whitened too."""
    projector: Literal["per_class", "shared"] = "shared"
    """One projector of the knowledge for each class (published), or one for all."""
    bottleneck: int = 128
    """Width between the projector's two layers."""

    def __post_init__(self) -> None:
        _not_negative("text", n_ctx=self.n_ctx)
        _positive("text", bottleneck=self.bottleneck)
        require(self.context_init in CONTEXT_INITS, "text.context_init", self.context_init, f"one of {CONTEXT_INITS}")
        for name, allowed in (
            ("projector", PER_CLASS_OR_SHARED),
            ("notions", NOTIONS),
            ("knowledge_source", KNOWLEDGE_SOURCES),
        ):
            require(getattr(self, name) in allowed, f"text.{name}", getattr(self, name), f"one of {allowed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class NumeracyConfig:
    """Gait parameters as numerical text, contrasted with the class texts."""

    enabled: bool = True
    """Whether the numeric side is trained at all."""
    encoding: Literal["continuous", "position", "digits", "words"] = "continuous"
    """How a number becomes tokens."""
    clip: float = 2.5
    """Scaled values lie in [-clip, clip]."""
    subset_size: int = 4
    """G: parameters in one numerical record."""
    max_correlation: float = 0.4
    """Largest |Pearson r| between two parameters of a record, on training subjects."""
    max_subsets: int = 438
    """Subsets kept, drawn by the seed when more qualify; the paper keeps 438."""
    weight: float = 0.1
    """lambda_num: weight of the numeric contrastive loss."""
    head_width: int = 64
    """Width of the space in which numerical and class texts meet."""
    heads: Literal["per_class", "shared"] = "per_class"
    """One numeric head for each class, or one for all."""
    temperature: float = 100.0
    """tau: start of the learnable scale of the numeric logits."""
    memory_batch: int = 64
    """Numerical records a step, drawn class-balanced."""
    video_weight: float = 0.0
    """Weight of the InfoNCE between a video's summary tokens and its own numeric embedding; 0 is off, 0.05 in the release."""

    def __post_init__(self) -> None:
        _positive(
            "numeracy",
            clip=self.clip,
            subset_size=self.subset_size,
            max_subsets=self.max_subsets,
            head_width=self.head_width,
            temperature=self.temperature,
            memory_batch=self.memory_batch,
        )
        _not_negative("numeracy", weight=self.weight, video_weight=self.video_weight)
        require(
            0 < self.max_correlation <= 1, "numeracy.max_correlation", self.max_correlation, "above 0 and at most 1"
        )
        require(self.encoding in ENCODINGS, "numeracy.encoding", self.encoding, f"one of {ENCODINGS}")
        require(self.heads in PER_CLASS_OR_SHARED, "numeracy.heads", self.heads, f"one of {PER_CLASS_OR_SHARED}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """AdamW with warm-up and cosine decay to zero; each group of weights has its own learning rate."""

    lr: float = 1e-3
    """Learning rate of the class texts after warm-up; the other groups' are multiples of it."""
    prompt_lr: float = 1.0
    """Of the video prompts and time embeddings, in units of lr."""
    attention_lr: float = 0.3
    """Of the class projections and the summary attention, in units of lr."""
    numeric_lr: float = 10.0
    """Of the heads that compare numbers with texts, in units of lr."""
    readout_lr: float = 0.1
    """Of the motion read-out, in units of lr; 0 keeps the closed form. A convolution starts at nothing: it takes lr."""
    warmup: float = 0.1
    """Share of the steps in which the learning rates rise from 0."""
    clip_norm: float = 1.0
    """Largest norm of a step's gradient; 0 means no limit."""
    max_scale: float = 100.0
    """Largest scale of CLIP's logits; 0 means no limit."""
    text_anchor: float = 8.0
    """Weight of the cosine distance between a class text and its start; 0 is off."""
    video_anchor: float = 8.0
    """Weight of the cosine distance between a video's feature and that of the tower without prompts; 0 is off."""
    weight_decay: float = 0.2
    """Not applied to biases, norms, prompts and scales."""
    steps: int = 2000
    """Optimiser steps in all, cut into `epochs` parts; 0: an epoch is a pass over the training windows."""
    epochs: int = 5
    """Parts of the training, at whose ends it is checkpointed."""
    balance: bool = True
    """Draw a window's class first, then the subject, the video and the start; else windows are drawn alike."""
    jitter: bool = True
    """Start windows every 5 frames and move the T frames together; else windows and frames are the same in each pass."""
    batch_size: int = 4
    """Windows a step, over all workers."""
    accumulation: int = 1
    """Micro-batches a step is cut into; the gradient is the same, the memory is less."""
    focal_gamma: float = 2.0
    """Exponent of the focal weight (1 - p)^gamma."""
    focal_alpha: float = 0.25
    """Factor of the focal weight."""
    focal_gradient: bool = False
    """Whether the gradient flows through the focal weight too, as in the release."""
    ordinal_beta: float = 0.2
    """Weight of the class distance in an ordinal task; a nominal task ignores it."""
    gradient_checkpointing: bool = False
    """Recompute the frozen layers in the backward pass: less memory, more time."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Precision of matrix products (autocast). auto: bf16 on a GPU that computes it, else float32. A machine without bf16 emulates it, slowly."""
    gpu_step: Literal["eager", "graph", "compiled"] = "graph"
    """How a GPU takes a step. eager: kernel by kernel. graph: replayed from a CUDA graph of the same kernels. compiled: from a graph of
    kernels that torch.compile has fused, which takes half a minute once in each process. A CPU is always eager."""

    def __post_init__(self) -> None:
        require(self.precision in PRECISIONS, "optimizer.precision", self.precision, f"one of {PRECISIONS}")
        require(self.gpu_step in GPU_STEPS, "optimizer.gpu_step", self.gpu_step, f"one of {GPU_STEPS}")
        _positive(
            "optimizer", lr=self.lr, epochs=self.epochs, batch_size=self.batch_size, accumulation=self.accumulation
        )
        require(0 <= self.warmup < 1, "optimizer.warmup", self.warmup, "a share of the steps, at least 0 and below 1")
        _not_negative(
            "optimizer",
            prompt_lr=self.prompt_lr,
            attention_lr=self.attention_lr,
            numeric_lr=self.numeric_lr,
            readout_lr=self.readout_lr,
            clip_norm=self.clip_norm,
            max_scale=self.max_scale,
            text_anchor=self.text_anchor,
            video_anchor=self.video_anchor,
            steps=self.steps,
            weight_decay=self.weight_decay,
            focal_gamma=self.focal_gamma,
            focal_alpha=self.focal_alpha,
            ordinal_beta=self.ordinal_beta,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderConfig:
    """The language model that turns class features into parameter sentences."""

    enabled: bool = True
    """Whether class features are decoded into words after training."""
    layers: int = 4
    """Transformer layers."""
    heads: int = 4
    """Attention heads."""
    width: int = 768
    """Width of the transformer."""
    steps: int = 1000
    """Optimiser steps at most; training ends when the loss on held-out training subjects stops falling."""
    batch_size: int = 64
    """Records a step."""
    lr: float = 3e-4
    """Learning rate of AdamW."""
    noise: float = 0.01
    """Standard deviation of the Gaussian noise on the record features while training."""
    beams: int = 1
    """1 is greedy; more is beam search."""

    def __post_init__(self) -> None:
        _positive(
            "decoder",
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            steps=self.steps,
            batch_size=self.batch_size,
            lr=self.lr,
            beams=self.beams,
        )
        _not_negative("decoder", noise=self.noise)
        require(self.width % self.heads == 0, "decoder.width", self.width, f"a multiple of the {self.heads} heads")
