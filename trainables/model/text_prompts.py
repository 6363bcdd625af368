"""Knowledge-aware prompts: what the text encoder reads for each class.

Source: arXiv 2403.13756, section 2.2. Two faults of the released code are not copied: there both layers of the
projector start at zero, so knowledge never contributes, and the end token is not moved behind the context.
Letters: C classes, K descriptions of all classes together, n_ctx context tokens, W text width, D joint width.
"""

from itertools import groupby

import torch
from torch import Tensor, nn

from trainables.errors import ConfigurationError
from trainables.knowledge.tasks import Task
from trainables.model.backbone import FrozenText, pad
from trainables.settings import TextConfig

CONTEXT_WORDS = "a video of a person walking"


class KnowledgeProjector(nn.Module):
    """Linear - ReLU - Linear from a notion's embedding to a shift of the context; one for each class, or one for all."""

    def __init__(self, knowledge_width: int, bottleneck: int, width: int, copies: int):
        super().__init__()
        self.first = nn.ModuleList(nn.Linear(knowledge_width, bottleneck) for _ in range(copies))
        second = [nn.Linear(bottleneck, width) for _ in range(copies)]
        self.second = nn.ModuleList(second)
        for layer in second:  # only the last layer is zero, so that the first step already has a gradient
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, embeddings: Tensor, owner: list[int]) -> Tensor:
        """Returns the shift of each description's context, [K, W]; owner names each description's class."""
        runs = [(copy, len(list(run))) for copy, run in groupby(owner, key=lambda label: label % len(self.first))]
        parts = embeddings.split([length for _, length in runs])
        shifts = [self.second[c](torch.relu(self.first[c](part))) for (c, _), part in zip(runs, parts, strict=True)]
        return torch.cat(shifts)


class ClassPrompts(nn.Module):
    """The learned text prompt of every class, and its feature."""

    notions: Tensor
    words: Tensor
    end: Tensor
    start: Tensor
    rows: Tensor

    def __init__(self, task: Task, config: TextConfig, text: FrozenText, notions: Tensor | None):
        """Builds the prompts.

        Args:
            task: with the knowledge that the classes are to be given (`with_knowledge`).
            notions: embeddings of all its descriptions' notions, in order of the classes, [K, W_k]; None without knowledge.

        Raises:
            ConfigurationError: A prompt does not fit the text encoder; names the class and the longest n_ctx that fits.
        """
        super().__init__()
        self.owner = [i for i, c in enumerate(task.classes) for _ in c.descriptions]
        self.register_buffer("rows", torch.tensor(self.owner), persistent=False)  # the same, where the model is, [K]
        self.classes = len(task.classes)
        self.context = nn.Parameter(_initial_context(config, self.classes, text))
        width = self.context.shape[-1]
        self.projector: KnowledgeProjector | None = None
        if config.knowledge and notions is not None:
            copies = self.classes if config.projector == "per_class" else 1
            self.projector = KnowledgeProjector(notions.shape[1], config.bottleneck, width, copies)
            self.register_buffer("notions", notions, persistent=False)
        self._read_words(task, config, text)

    def _read_words(self, task: Task, config: TextConfig, text: FrozenText) -> None:
        """Keeps the embeddings of keywords, class name and end token, and checks that everything fits."""
        tokenizer, room = text.backbone.tokenizer, text.backbone.context_length
        sequences: list[Tensor] = []
        for knowledge in task.classes:
            for description in knowledge.descriptions:
                keywords = ", ".join(description.keywords) + ", " if config.keywords and description.keywords else ""
                ids = text.backbone.tokens(f"{keywords}{knowledge.name}")
                length = config.n_ctx + len(ids) + 2
                if length > room:
                    raise ConfigurationError(
                        _too_long(knowledge.name, length, room, room - len(ids) - 2), code="prompts.text_too_long"
                    )
                sequences.append(text.encoder.embed([*ids, tokenizer.eos_token_id]))
        words, end = pad(sequences)
        self.register_buffer("words", words, persistent=False)  # [K, L, W]
        self.register_buffer("end", end + 1 + config.n_ctx, persistent=False)  # the true end token, behind the context
        self.register_buffer("start", text.encoder.embed([tokenizer.bos_token_id]), persistent=False)  # [1, W]

    def tokens(self) -> Tensor:
        """Returns [start][context + knowledge][keywords][class name][end] of every description, [K, 1 + n_ctx + L, W]."""
        context = self.context[self.rows]  # [K, n_ctx, W]
        if self.projector is not None:
            context = context + self.projector(self.notions, self.owner).unsqueeze(1)
        return torch.cat([self.start.expand(len(context), -1, -1), context, self.words], dim=1)

    def forward(self, encoder: nn.Module) -> Tensor:
        """Returns each class's unit text feature, the mean of its descriptions' unit features, [C, D]."""
        features = nn.functional.normalize(encoder(self.tokens(), self.end), dim=-1)  # [K, D]
        sums = features.new_zeros(self.classes, features.shape[1]).index_add(0, self.rows, features)
        return nn.functional.normalize(sums, dim=-1)


def _initial_context(config: TextConfig, classes: int, text: FrozenText) -> Tensor:
    """Returns the context at the start, [C, n_ctx, W]."""
    shape = (classes, config.n_ctx, text.encoder.width)
    if config.context_init == "normal":
        return torch.randn(shape) * 0.02
    if config.context_init == "words" and config.n_ctx:
        words = text.encoder.embed(text.backbone.tokens(CONTEXT_WORDS))
        repeated = words.repeat(-(-config.n_ctx // len(words)), 1)[: config.n_ctx]
        return repeated.expand(shape).clone()
    return torch.zeros(shape)


def _too_long(name: str, length: int, room: int, longest: int) -> str:
    if longest < 0:
        return (
            f"the keywords and name of class {name!r} alone need {room - longest} tokens, "
            f"but the text encoder reads {room}; shorten them"
        )
    return (
        f"the prompt of class {name!r} needs {length} tokens, but the text encoder reads {room}; "
        f"the longest prompt length (n_ctx) that fits is {longest}"
    )
