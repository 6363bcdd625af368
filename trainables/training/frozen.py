"""What the frozen encoders say, computed once and used by every fold and step of a worker."""

from torch import Tensor

from trainables.knowledge.tasks import Task
from trainables.model.backbone import Backbone, FrozenText, TextEncoder
from trainables.model.knowledge_encoder import encode_notions
from trainables.model.numbers import NumberEncoder


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
        self._notions: Tensor | None = None
        self._numbers: dict[tuple[str, float], NumberEncoder] = {}

    def notions(self) -> Tensor:
        """Returns the embeddings of all classes' notions, [K, W_k]."""
        if self._notions is None:
            notions = [d.notion for c in self.task.classes for d in c.descriptions]
            self._notions = encode_notions(self.knowledge_encoder, notions, self.text)
        return self._notions

    def numbers(self, encoding: str, clip: float) -> NumberEncoder:
        """Returns the reader of numerical texts, which remembers what it has read."""
        if (encoding, clip) not in self._numbers:
            self._numbers[encoding, clip] = NumberEncoder(self.text, self.names, encoding, clip)
        return self._numbers[encoding, clip]
