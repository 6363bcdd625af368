"""The tokenizer of the backbone `small`: CLIP's own scheme with a vocabulary learned from our texts.

Lower-cased byte-level BPE with an end-of-word mark; every digit is a token of its own, so that a number is read digit by
digit. The two special tokens have the highest ids, as in CLIP, where the end of text is found by its id being largest.
"""

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, pre_tokenizers, trainers
from transformers import CLIPTokenizer

START, END, WORD_END = "<|startoftext|>", "<|endoftext|>", "</w>"
CONTEXT = 77


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> CLIPTokenizer:
    """Returns a tokenizer with at most `vocabulary` tokens: 512 for single bytes, 2 special ones, the rest merges."""
    # CLIP's normalisation and word splitting
    tokenizer = Tokenizer.from_str(CLIPTokenizer().backend_tokenizer.to_str())
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = [*alphabet, *(letter + WORD_END for letter in alphabet)]
    trainer = trainers.BpeTrainer(  # type: ignore[call-arg]
        vocab_size=vocabulary - 2,
        end_of_word_suffix=WORD_END,
        # Pairs that are equally frequent merge in the order of their letters' ids. The trainer numbers letters in the
        # order of a hash map, another one in each run, unless they are there before: as 'special' tokens.
        special_tokens=letters,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges: list[tuple[str, str]] = [(a, b) for a, b in json.loads(tokenizer.to_str())["model"]["merges"]]
    tokens = list(dict.fromkeys([*letters, *("".join(pair) for pair in merges)]))
    vocab = {token: i for i, token in enumerate([*tokens, START, END])}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=CONTEXT)
