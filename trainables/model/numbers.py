"""Numbers as text: '<name of a parameter> is <number>' through the frozen text encoder.

Sources: arXiv 2403.13756, section 2.3 and supplement Fig. 1; xVal (arXiv 2310.02989) for the continuous number.
Letters: W text width, D joint width.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from trainables.model.backbone import FrozenText
from trainables.model.scaling import BINS, from_bin

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUMBER_SEED = 2403_13756


class NumberEncoder:
    """Sentences of one parameter and one number, as embeddings [L, W] and as unit features [D].

    All four encodings write the scaled value v, which has no unit: 'continuous' as v times a fixed direction,
    'position' as the sinusoidal encoding of v's bin, 'digits' as -0.85, 'words' as minus zero point eight five.
    """

    def __init__(self, text: FrozenText, names: list[str], encoding: str, clip: float):
        self.text, self.encoding, self.clip = text, encoding, clip
        # The name's feature stands among the tokens, so it is taken before the projection to the joint space.
        self.names = text.read(names, project=False)  # [P, W]
        self.copula = text.encoder.embed(text.backbone.tokens("is"))
        tokenizer = text.backbone.tokenizer
        self.start = text.encoder.embed([tokenizer.bos_token_id])
        self.end = text.encoder.embed([tokenizer.eos_token_id])
        positions = sinusoids(text.backbone.context_length, text.encoder.width)
        self.direction = number_direction(positions) * number_scale(text)
        self.bins = nn.functional.normalize(sinusoids(BINS, text.encoder.width), dim=-1)
        self._features: dict[tuple[int, int], Tensor] = {}

    def sequence(self, parameter: int, number: int) -> Tensor:
        """Returns [start][name][is][number][end] of one parameter and one bin."""
        value = float(from_bin(np.array(number), self.clip))
        if self.encoding == "continuous":
            middle = (value / self.clip * self.direction).to(self.start).unsqueeze(0)
        elif self.encoding == "position":
            middle = self.bins[number].to(self.start).unsqueeze(0)
        else:
            written = spell(value) if self.encoding == "words" else f"{value:.2f}"
            middle = self.text.encoder.embed(self.text.backbone.tokens(written))
        return torch.cat([self.start, self.names[parameter].unsqueeze(0), self.copula, middle, self.end])

    def features(self, bins: np.ndarray) -> Tensor:
        """Returns the unit feature of every parameter of every video, [N, P, D]; zeros where it was not measured.

        Args:
            bins: [N, P] bins, -1 where not measured. A bin that was seen before is not read again.
        """
        measured = [(int(p), int(bins[n, p])) for n, p in zip(*np.nonzero(bins >= 0), strict=True)]
        new = sorted(set(measured) - self._features.keys())
        if new:
            read = nn.functional.normalize(self.text.encoder.read([self.sequence(*key) for key in new]), dim=-1)
            self._features |= dict(zip(new, read, strict=True))
        width = self.text.backbone.width
        table = torch.zeros(*bins.shape, width, device=self.start.device)
        if measured:
            rows, columns = (torch.from_numpy(i) for i in np.nonzero(bins >= 0))
            table[rows, columns] = torch.stack([self._features[key] for key in measured])
        return table


def sinusoids(positions: int, width: int) -> Tensor:
    """Returns sinusoidal position encodings, [positions, width] (Vaswani 2017, section 3.5)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(positions)[:, None] * rates
    encodings = torch.zeros(positions, width)
    encodings[:, 0::2] = angles.sin()
    encodings[:, 1::2] = angles.cos()[:, : width // 2]
    return encodings


def number_direction(positions: Tensor) -> Tensor:
    """Returns a fixed unit vector orthogonal to the position encodings, [W].

    Where they span nearly the whole space (W below about 100), it is orthogonal to the directions in which they are
    strongest, half of the space at most.
    """
    _, strengths, basis = torch.linalg.svd(positions.double(), full_matrices=False)
    rank = min(int((strengths > 1e-6 * strengths[0]).sum()), positions.shape[1] // 2)
    vector = torch.randn(positions.shape[1], generator=torch.Generator().manual_seed(NUMBER_SEED), dtype=torch.float64)
    vector = vector - basis[:rank].T @ (basis[:rank] @ vector)
    return (vector / vector.norm()).float()


def number_scale(text: FrozenText) -> float:
    """Returns the length of a typical token embedding, at which a number at the clip limit is read.

    The published unit vector times v is several times longer than CLIP's token embeddings, and the first layer's
    normalisation then hides its magnitude: the encoding saturates long before the clip limit (docs/decisions/0004).
    """
    return float(text.encoder.embeddings.token_embedding.weight.norm(dim=-1).mean())


def spell(value: float) -> str:
    """Returns a number in words with two decimals: -0.85 is 'minus zero point eight five'."""
    text = f"{abs(value):.2f}"
    words = " ".join("point" if c == "." else DIGITS[int(c)] for c in text)
    return f"minus {words}" if value < 0 and text != "0.00" else words
