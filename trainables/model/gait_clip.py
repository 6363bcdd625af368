"""The whole model: prompted video encoder, knowledge-aware class texts, numerical texts.

Source: arXiv 2403.13756 and its extension. Letters: B videos, T frames, C classes, D joint width, M records.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from trainables.config import TrainConfig
from trainables.knowledge.controls import with_knowledge
from trainables.knowledge.tasks import Task
from trainables.model.backbone import PIXEL_MEAN, PIXEL_STD, Backbone, FrozenText, TextEncoder
from trainables.model.frozen_layer import Prompted
from trainables.model.motion import MotionReadout, TemporalConvolution, block_sizes
from trainables.model.numeracy import Heads, NumericContrast
from trainables.model.text_prompts import ClassPrompts
from trainables.model.video_encoder import VideoEncoder, VideoFeatures


class GaitCLIP(nn.Module):
    """Scores videos against class texts that were shaped by knowledge and numbers."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, task: Task, config: TrainConfig, notions: Tensor | None):
        """Builds a model around a frozen backbone; the generator of torch decides how it starts.

        Args:
            task: with its own knowledge, which the configuration may exchange for a control.
            notions: embeddings of the notions that the classes are given, [K, W_k]; None without knowledge.
        """
        super().__init__()
        clip = backbone.clip
        self.text_encoder = TextEncoder(clip)
        self.video_encoder = VideoEncoder(
            clip.vision_model,
            clip.visual_projection,
            frames=config.video.frames,
            n_global=config.video.n_global,
            local=config.video.local,
            summary=config.video.summary,
            time_positions=config.video.time_positions,
            first_prompted_layer=config.video.first_prompted_layer,
            gradient_checkpointing=config.optimizer.gradient_checkpointing,
        )
        given = with_knowledge(task, config.text.knowledge_source, config.seed)
        self.prompts = ClassPrompts(given, config.text, FrozenText(backbone, self.text_encoder), notions)
        self.first_prompted_layer = config.video.first_prompted_layer
        self.log_scale = nn.Parameter(clip.logit_scale.detach().clone())
        self.motion = config.motion
        self.readout: MotionReadout | TemporalConvolution | None = None
        if config.motion.readout == "statistics":
            inputs = sum(block_sizes(clip.config.vision_config))
            self.readout = MotionReadout(inputs, len(task.classes))
        elif config.motion.readout == "convolution":
            self.readout = TemporalConvolution(backbone.width)
        self.numeric: NumericContrast | None = None
        self.pairing: nn.ModuleList | None = None
        if config.numeracy.enabled:
            self.numeric = NumericContrast(backbone.width, len(task.classes), config.numeracy)
            prompted = config.video.first_prompted_layer < clip.config.vision_config.num_hidden_layers
            if config.numeracy.video_weight and config.video.summary and prompted:
                vision_width = clip.config.vision_config.hidden_size
                self.pairing = nn.ModuleList(
                    Heads(w, config.numeracy.head_width, 1) for w in (vision_width, backbone.width)
                )
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(3, 1, 1), persistent=False)

    def class_features(self) -> Tensor:
        """Returns F_T, the unit text feature of every class, [C, D]."""
        return self.prompts(self.text_encoder)

    def encode(self, frames: Tensor, compute: Prompted | None = None) -> VideoFeatures:
        """Returns the features of uint8 frames, [B, T, 3, S, S], or of their prefix; `compute` is that of `VideoEncoder.forward`."""
        if frames.dtype != torch.uint8:
            return self.video_encoder.from_prefix(frames, compute)
        return self.video_encoder(frames, compute, (self.mean, self.std))

    def logits(self, video: Tensor, class_features: Tensor, motion: Tensor | None = None) -> Tensor:
        """Returns the class logits, [B, C], of video features [B, D] and of the windows' motion.

        Without a read-out they are CLIP's own: s * cos(F_V, F_T). Statistics complete CLIP's probabilities to scores around
        0 and 1: temperature * (share * softmax(s * cos) + readout). A convolution moves the unit video feature.

        Args:
            motion: what the read-out reads of each window: [B, K] or [B, S] statistics, or [B, F, D] frame features.
        """
        unit = nn.functional.normalize(video, dim=-1)
        if isinstance(self.readout, TemporalConvolution):
            assert motion is not None
            unit = unit + self.readout(motion)
        clip = self.log_scale.exp() * unit @ class_features.T
        if not isinstance(self.readout, MotionReadout):
            return clip
        assert motion is not None
        # A share of the probabilities and not of the logits: a confident text does not outvote any motion.
        return self.motion.temperature * (self.motion.share * clip.softmax(-1) + self.readout(motion))

    def pair(self, summary: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Returns unit vectors of summary tokens [B, W] and of their own numbers [B, D], both [B, O]."""
        assert self.pairing is not None
        videos, texts = (head(x)[:, 0] for head, x in zip(self.pairing, (summary, numbers), strict=True))
        return nn.functional.normalize(videos, dim=-1), nn.functional.normalize(texts, dim=-1)

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the parameters that take a gradient; the backbone's do not."""
        return ((name, p) for name, p in self.named_parameters() if p.requires_grad)

    def trained_state(self) -> dict[str, Tensor]:
        """Returns what a checkpoint holds: everything trained, nothing of the backbone."""
        return {name: p.detach().cpu().contiguous() for name, p in self.trained()}

    def load_trained(self, state: dict[str, Tensor]) -> None:
        """Takes back a `trained_state`.

        Raises:
            KeyError: The state is of a model with other prompts or heads.
        """
        own = dict(self.trained())
        if own.keys() != state.keys():
            raise KeyError(f"the checkpoint and the model differ in {sorted(own.keys() ^ state.keys())[:3]}")
        with torch.no_grad():
            for name, p in own.items():
                p.copy_(state[name])


def build(backbone: Backbone, task: Task, config: TrainConfig, notions: Tensor | None, seed: int) -> GaitCLIP:
    """Returns a model whose start depends on the seed alone; torch's own generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GaitCLIP(backbone, task, config, notions)
