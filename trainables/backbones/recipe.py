"""The numbers of one training run of the backbone `small`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The numbers of one training run."""

    people: int = 2000
    clips_each: int = 2
    steps: int = 6000
    plain_first: int = 600
    """Steps that see only clips as a cohort shows them: where walls and clothes have any colour, seeing does not begin."""
    poses_first: int = 3500
    """Steps before the contrastive loss joins: it finds nothing to hold on to before the image tower sees a figure."""
    first_batch: int = 24
    """Clips a step until then; many small steps see sooner than few large ones."""
    batch: int = 48
    """Clips a step from then on: each clip has 47 wrong sentences."""
    frames: int = 2
    """Frames of a clip's 8 that a step sees, drawn again each time: cheaper, and no feature needs all 8."""
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: int = 50
    """Steps in which the learning rate rises from 0; then a cosine to 0."""
    traits: float = 1.0
    """Weight of the auxiliary regression of traits, which have a variance of 1; frames do not show half of them."""
    poses: float = 20.0
    """Weight of the auxiliary regression of the pose from a frame's feature, in squares of the leg's length."""
    cells: float = 1.0
    """Weight of the auxiliary cross-entropy that finds each joint among the patches."""
    offsets: float = 5.0
    """Weight of the auxiliary regression of a joint's place within its patch, in squares of the patch's size."""
    vocabulary: int = 2048
    """Tokens at most."""
    sentences: int = 5000
    """Drawn sentences among the tokenizer's texts."""
    seed: int = 0
    """Added to COHORT_SEEDS for the people that are drawn."""
