"""A language model that turns a numerical text feature back into '<parameter> is <number>, ...'.

Sources: DeCap (arXiv 2303.03032) for decoding CLIP features by a model trained on text alone; the extension of
arXiv 2403.13756 for its use on gait parameters. The released code feeds '?' back in place of a generated number; here
the number itself is fed back. Letters: N features, D joint width, L tokens, V vocabulary, K beams.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from trainables.model.backbone import Backbone
from trainables.model.scaling import BINS
from trainables.settings import DecoderConfig

LABEL_SMOOTHING = 0.1
NUMBER_WEIGHT = 0.2
"""Weight of a number's distance, in clip lengths, beside the cross-entropy."""


@dataclass(frozen=True, kw_only=True)
class SentenceGrammar:
    """The tokens of parameter sentences, numbered from 0: words, then ',' and the end, then 201 numbers.

    Words are the backbone's own tokens; those that no parameter's name uses are left out, which changes nothing that
    can be generated and makes the output layer small.
    """

    phrases: tuple[tuple[int, ...], ...]
    """'<name> is' of each parameter."""
    words: int

    comma: int = field(init=False)
    end: int = field(init=False)
    first_number: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "comma", self.words)
        object.__setattr__(self, "end", self.words + 1)
        object.__setattr__(self, "first_number", self.words + 2)

    @classmethod
    def of(cls, backbone: Backbone, names: list[str]) -> "SentenceGrammar":
        """Returns the grammar of some parameters' sentences in a backbone's tokens."""
        tokens = [backbone.tokens(f"{name} is") for name in names]
        number = {t: i for i, t in enumerate(sorted({t for phrase in tokens for t in phrase}))}
        return cls(phrases=tuple(tuple(number[t] for t in phrase) for phrase in tokens), words=len(number))

    @property
    def size(self) -> int:
        """Returns V."""
        return self.first_number + BINS

    def longest(self, parameters: int) -> int:
        """Returns the length of the longest sentence about so many parameters."""
        return parameters * (max(len(p) for p in self.phrases) + 2)

    def write(self, parameters: np.ndarray, bins: np.ndarray) -> list[int]:
        """Returns the tokens of '<name> is <number>, <name> is <number><end>'."""
        tokens: list[int] = []
        for p, b in zip(parameters, bins, strict=True):
            tokens += [*self.phrases[p], self.first_number + int(b), self.comma]
        return [*tokens[:-1], self.end]

    def read(self, tokens: list[int]) -> list[tuple[int, int]]:
        """Returns the (parameter, bin) pairs of a whole sentence.

        Raises:
            ValueError: The tokens are no sentence of this grammar.
        """
        pairs: list[tuple[int, int]] = []
        phrase: list[int] = []
        for token in tokens:
            if token in (self.comma, self.end):
                *words, number = phrase
                pairs.append((self.phrases.index(tuple(words)), number - self.first_number))
                phrase = []
            else:
                phrase.append(token)
        if phrase or not tokens or tokens[-1] != self.end:
            raise ValueError("the sentence has no end")
        return pairs

    def allowed(self, tokens: list[int], parameters: int, about: frozenset[int] | None = None) -> list[int]:
        """Returns the tokens that may follow, so that what is generated is always a sentence.

        A parameter is named once, and a sentence has at most `parameters` of them, all in `about` where it is given.
        """
        about = frozenset(range(len(self.phrases))) if about is None else about
        starts = [i for i, t in enumerate(tokens) if t == self.comma]
        phrase = tokens[starts[-1] + 1 :] if starts else tokens
        told = set()
        for begin, end in zip([0, *(s + 1 for s in starts)], starts, strict=False):
            told.add(self.phrases.index(tuple(tokens[begin : end - 1])))
        if phrase and phrase[-1] >= self.first_number:
            told.add(self.phrases.index(tuple(phrase[:-1])))
            return [self.end] if len(told) >= parameters or about <= told else [self.comma, self.end]
        fitting = [self.phrases[i] for i in sorted(about - told) if self.phrases[i][: len(phrase)] == tuple(phrase)]
        following = sorted({p[len(phrase)] for p in fitting if len(p) > len(phrase)})
        if any(len(p) == len(phrase) for p in fitting):
            following += range(self.first_number, self.first_number + BINS)
        return following

    def following(
        self, tokens: list[int], parameters: int, about: frozenset[int] | None, numbers: np.ndarray | None
    ) -> list[int]:
        """Returns the tokens that may follow in beam search: of a finished or impossible beam, its end.

        Args:
            numbers: [P] the bin that follows each parameter's name; None allows all of them.
        """
        if self.end in tokens:
            return [self.end]
        try:
            allowed = self.allowed(tokens, parameters, about)
        except ValueError:
            return [self.end]
        if numbers is None or not any(t >= self.first_number for t in allowed):
            return allowed or [self.end]
        last = max((i + 1 for i, t in enumerate(tokens) if t == self.comma), default=0)
        forced = self.first_number + int(numbers[self.phrases.index(tuple(tokens[last:]))])
        return [*(t for t in allowed if t < self.first_number), forced]


class ParameterDecoder(nn.Module):
    """GPT-2's architecture from scratch, behind a prefix made from a feature."""

    def __init__(self, grammar: SentenceGrammar, width: int, parameters: int, config: DecoderConfig):
        """Builds a decoder of sentences about at most `parameters` parameters from features [D = width]."""
        super().__init__()
        self.grammar, self.most = grammar, parameters
        self.prefix = nn.Sequential(nn.Linear(width, config.width), nn.Tanh(), nn.Linear(config.width, config.width))
        self.language = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=grammar.size,
                n_positions=grammar.longest(parameters) + 1,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                activation_function="gelu_pytorch_tanh",  # GPT-2's own function in one kernel instead of eight
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=grammar.end,
                eos_token_id=grammar.end,
            )
        )

    def loss(self, features: Tensor, sentences: list[list[int]], *, words_alone: bool = False) -> Tensor:
        """Returns cross-entropy with label smoothing, plus 0.2 times the expected number's distance in clip lengths.

        Args:
            features: [N, D].
            sentences: tokens of each, with the end.
            words_alone: whether numbers are read but not predicted, as where they come from a number head.
        """
        targets = nn.utils.rnn.pad_sequence([torch.tensor(s) for s in sentences], batch_first=True, padding_value=-100)
        targets = targets.to(features.device)  # [N, L]
        words = self.language.transformer.wte(targets[:, :-1].clamp(min=0))
        if words_alone:
            targets = targets.masked_fill(targets >= self.grammar.first_number, -100)
        logits = self.language(
            inputs_embeds=torch.cat([self.prefix(features).unsqueeze(1), words], dim=1)
        ).logits  # [N, L, V]
        entropy = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, label_smoothing=LABEL_SMOOTHING
        )
        if words_alone:
            return entropy
        numbers = targets >= self.grammar.first_number
        place = torch.linspace(-1, 1, BINS, device=features.device)
        expected = logits[numbers][:, self.grammar.first_number :].softmax(-1) @ place
        distance = (expected - place[targets[numbers] - self.grammar.first_number]).abs().mean()
        return entropy + NUMBER_WEIGHT * distance

    @torch.inference_mode()
    def generate(
        self,
        features: Tensor,
        beams: int = 1,
        about: frozenset[int] | Sequence[frozenset[int]] | None = None,
        numbers: np.ndarray | None = None,
    ) -> list[list[tuple[int, int]]]:
        """Returns (parameter, bin) pairs for every feature [N, D]; greedy with one beam.

        Args:
            about: parameters that may be named, for all features or for each; None is all of them.
            numbers: [N, P] the bin that follows each parameter's name; None leaves numbers to the language model.
        """
        self.eval()
        row_about = [about] * len(features) if about is None or isinstance(about, frozenset) else list(about)

        def following(row: int, sentence: Tensor) -> list[int]:
            given = None if numbers is None else numbers[row]
            return self.grammar.following(sentence.tolist(), self.most, row_about[row], given)

        found = self.language.generate(
            inputs_embeds=self.prefix(features).unsqueeze(1),
            attention_mask=torch.ones(len(features), 1, dtype=torch.long, device=features.device),
            max_new_tokens=self.grammar.longest(self.most),
            do_sample=False,
            num_beams=beams,
            length_penalty=0.0 if beams > 1 else None,  # the likeliest sentence, not the likeliest per token
            renormalize_logits=True,  # over what may follow
            prefix_allowed_tokens_fn=following,
            pad_token_id=self.grammar.end,
        )
        return [self.grammar.read(self._to_the_end(tokens)) for tokens in found.tolist()]

    def _to_the_end(self, tokens: list[int]) -> list[int]:
        return tokens[: tokens.index(self.grammar.end) + 1]
