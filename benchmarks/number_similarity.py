"""Prints how alike a backbone finds two numbers: cos(e(v), e(v')) in each encoding of numbers.

    python benchmarks/number_similarity.py                    the embedded backbone
    python benchmarks/number_similarity.py --backbone FOLDER  another one

A useful encoding has cosines that fall as |v - v'| grows, over the whole range from -clip to clip. The supplement of
arXiv 2403.13756 shows such matrices in its Fig. 1. 'published' is the continuous encoding at the published length of
the number's vector, v itself; 'continuous' is at ours (docs/decisions/0004-number-scale.md).
"""

import argparse
import sys
from collections.abc import Iterator

import numpy as np
from torch.nn import functional

from trainables.errors import StridefoldError
from trainables.model.backbone import FrozenText, TextEncoder, load_backbone
from trainables.model.numbers import NumberEncoder
from trainables.model.scaling import BINS, from_bin
from trainables.settings import ENCODINGS

STEP = 20
"""Bins between two values of a matrix: a fifth of the clip range."""


def matrices(text: FrozenText, name: str, clip: float) -> Iterator[tuple[str, np.ndarray]]:
    """Yields each encoding's name and its cosines at values from -clip to clip, [11, 11]."""
    for encoding in ENCODINGS:
        yield encoding, similarity(NumberEncoder(text, [name], encoding, clip))
    published = NumberEncoder(text, [name], "continuous", clip)
    published.direction = clip * published.direction / published.direction.norm()  # a unit vector times v
    yield "published", similarity(published)


def similarity(encoder: NumberEncoder) -> np.ndarray:
    """Returns cos(e(v), e(v')) of the encoder's first parameter, [11, 11]."""
    features = functional.normalize(encoder.features(np.arange(0, BINS, STEP)[:, None])[:, 0].double(), dim=-1)
    return (features @ features.T).numpy()


def falls_with_distance(matrix: np.ndarray) -> float:
    """Returns the share of neighbouring pairs in a row at which the cosine falls, going away from the diagonal."""
    falls = [np.diff(row[i:]) < 0 for i, row in enumerate(matrix)]
    falls += [np.diff(row[i::-1]) < 0 for i, row in enumerate(matrix)]
    return float(np.concatenate(falls).mean())


def smallest_step(matrix: np.ndarray) -> float:
    """Returns the smallest 1 - cos of two neighbouring values over the largest; near 0 some numbers are not told apart."""
    steps = 1 - np.diag(matrix, 1)
    return float(steps.min() / steps.max())


def main(arguments: list[str] | None = None) -> int:
    """Prints a matrix per encoding, and three figures of each."""
    parser = argparse.ArgumentParser(description="Prints cos(e(v), e(v')) in each encoding of numbers.")
    parser.add_argument("--backbone", default="small", help="'small', a folder or a hub id")
    parser.add_argument("--name", default="walking speed", help="the parameter that the sentences are about")
    parser.add_argument("--clip", type=float, default=2.5, help="values go from -clip to clip")
    given = parser.parse_args(arguments)
    try:
        backbone = load_backbone(given.backbone)
    except StridefoldError as error:
        print(error, file=sys.stderr)
        return 1
    text = FrozenText(backbone, TextEncoder(backbone.clip))
    length = float(text.encoder.embeddings.token_embedding.weight.norm(dim=-1).mean())
    values = from_bin(np.arange(0, BINS, STEP), given.clip)
    print(f"backbone {given.backbone}, {given.name!r}; mean length of a token embedding {length:.3f}")
    for encoding, matrix in matrices(text, given.name, given.clip):
        print(f"\n{encoding}: falls with distance at {falls_with_distance(matrix):.0%} of pairs; ", end="")
        print(f"smallest over largest step {smallest_step(matrix):.3f}; largest 1 - cos {1 - matrix.min():.5f}")
        print("       " + " ".join(f"{v:7.1f}" for v in values))
        for value, row in zip(values, matrix, strict=True):
            print(f"{value:6.1f} " + " ".join(f"{cosine:7.4f}" for cosine in row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
