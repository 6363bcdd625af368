"""What the frozen encoders say, computed once and used by every fold and step of a worker."""

import torch
from torch import Tensor

from trainables.knowledge.controls import with_knowledge
from trainables.knowledge.tasks import Task
from trainables.model.backbone import Backbone, FrozenText, TextEncoder
from trainables.model.knowledge_encoder import encode_notions, random_notions, whiten
from trainables.model.numbers import NumberEncoder
from trainables.settings import TextConfig


class FrozenFeatures:
    """The notions' embeddings and the numerical texts of one backbone, each read at first use."""

    def __init__(
        self, backbone: Backbone, task: Task, names: list[str], knowledge_encoder: str = "clip", device: str = "cpu"
    ):
        """Keeps what is needed to read.

        Args:
            names: of the cohort's parameters, in words, in its order.
            knowledge_encoder: 'clip', or a Hugging Face encoder's folder or id.
            device: where the backbone runs from now on, in training too.
        """
        backbone.clip.to(device)  # type: ignore[arg-type]
        self.backbone, self.task, self.names = backbone, task, names
        self.knowledge_encoder = knowledge_encoder
        self.text = FrozenText(backbone, TextEncoder(backbone.clip))
        self._notions: dict[str, Tensor] = {}
        self._numbers: dict[tuple[str, float], NumberEncoder] = {}

    def notions(self, config: TextConfig, seed: int) -> Tensor | None:
        """Returns the embeddings of all descriptions' notions as a configuration reads them, [K, W_k].

        None where knowledge is off, or where the task file has no notions.

        Args:
            seed: Draws the controls, as `with_knowledge` does.
        """
        texts = with_knowledge(self.task, config.knowledge_source, seed).notions() if config.knowledge else []
        if not texts:
            return None
        if new := [text for text in dict.fromkeys(texts) if text not in self._notions]:
            self._notions |= dict(zip(new, encode_notions(self.knowledge_encoder, new, self.text), strict=True))
        embeddings = torch.stack([self._notions[text] for text in texts])
        if config.knowledge_source == "random":
            embeddings = random_notions(embeddings, seed)
        return whiten(embeddings, config.notions)

    def numbers(self, encoding: str, clip: float) -> NumberEncoder:
        """Returns the reader of numerical texts, which remembers what it has read."""
        if (encoding, clip) not in self._numbers:
            self._numbers[encoding, clip] = NumberEncoder(self.text, self.names, encoding, clip)
        return self._numbers[encoding, clip]
