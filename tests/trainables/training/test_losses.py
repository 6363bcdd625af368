"""Each loss against the formula it is meant to be."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainables.training.losses import numeric_loss, pairing_loss, video_loss

PLAIN = {"gamma": 0.0, "alpha": 1.0, "beta": 0.0}
PAPER = {"gamma": 2.0, "alpha": 0.25, "beta": 0.2}


def draw(batch: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    return logits, torch.randint(classes, (batch,), generator=generator)


def test_plain_cross_entropy():
    """gamma 0, alpha 1 and beta 0 are torch's cross-entropy of each video."""
    logits, labels = draw(7, 4)
    assert torch.equal(video_loss(logits, labels, **PLAIN), functional.cross_entropy(logits, labels, reduction="none"))


def test_focal_by_hand():
    """Without beta the loss is alpha (1 - p)^gamma times -log p."""
    logits, labels = draw(7, 4)
    for row, label, loss in zip(
        logits.tolist(), labels.tolist(), video_loss(logits, labels, gamma=1.5, alpha=0.25, beta=0.0), strict=True
    ):
        p = math.exp(row[label]) / sum(math.exp(x) for x in row)
        assert float(loss) == pytest.approx(0.25 * (1 - p) ** 1.5 * -math.log(p), rel=1e-9)


def test_ordinal_term_by_hand():
    """beta adds |true - guessed| / (C - 1): nothing for a right guess, a third for a neighbour of four, one for the end."""
    logits = torch.tensor([[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0]], dtype=torch.float64)
    labels = torch.zeros(3, dtype=torch.long)
    total = math.exp(2) + 3
    entropies = [-math.log(math.exp(2) / total), -math.log(1 / total), -math.log(1 / total)]
    losses = video_loss(logits, labels, gamma=2.0, alpha=0.0, beta=0.2)
    expected = [0.2 * d / 3 * e for d, e in zip((0, 1, 3), entropies, strict=True)]
    torch.testing.assert_close(losses, torch.tensor(expected, dtype=torch.float64))
    both = video_loss(logits, labels, **PAPER)
    focal = video_loss(logits, labels, **(PAPER | {"beta": 0.0}))
    torch.testing.assert_close(both, focal + losses)


def test_weight_takes_no_gradient():
    """The gradient is the weight times that of cross-entropy."""
    logits, labels = draw(7, 4)
    weighted, plain = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = video_loss(weighted, labels, **PAPER)
    losses.sum().backward()
    entropy = functional.cross_entropy(plain, labels, reduction="none")
    entropy.sum().backward()
    weight = (losses / entropy).detach()
    torch.testing.assert_close(weighted.grad, weight[:, None] * plain.grad)


def test_gradient_through_the_weight():
    """It is the derivative of the whole focal loss, larger by 1 + gamma p (-log p) / (1 - p) than with a fixed weight."""
    logits, labels = draw(7, 4)
    focal = PAPER | {"beta": 0.0}
    whole, fixed = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = video_loss(whole, labels, **focal, through_weight=True)
    assert torch.equal(losses, video_loss(logits, labels, **focal))
    losses.sum().backward()
    video_loss(fixed, labels, **focal).sum().backward()
    p = logits.softmax(-1)[torch.arange(7), labels]
    factor = 1 + 2 * p * -p.log() / (1 - p)
    torch.testing.assert_close(whole.grad, factor[:, None] * fixed.grad)
    assert torch.autograd.gradcheck(
        lambda x: video_loss(x, labels, **focal, through_weight=True), logits.clone().requires_grad_()
    )


def test_one_class_is_no_division_by_zero():
    """With a single class the loss is zero, not NaN."""
    assert video_loss(torch.ones(2, 1), torch.zeros(2, dtype=torch.long), **PAPER).tolist() == [0.0, 0.0]


def test_numeric_loss_is_cross_entropy():
    """With records of all classes it is the mean cross-entropy."""
    logits, labels = draw(9, 3)
    loss = numeric_loss(logits, labels, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(loss, functional.cross_entropy(logits, labels))


def test_numeric_loss_masks_absent_classes():
    """A class without records is not an alternative: its logit changes neither loss nor gradient."""
    logits, _ = draw(9, 3)
    labels = torch.arange(9) % 2 * 2  # classes 0 and 2
    present = torch.tensor([True, False, True])
    tracked = logits.clone().requires_grad_()
    loss = numeric_loss(tracked, labels, present)
    loss.backward()
    torch.testing.assert_close(loss.detach(), functional.cross_entropy(logits[:, [0, 2]], labels // 2))
    assert not tracked.grad[:, 1].any()
    other = logits.clone()
    other[:, 1] = 1000.0
    assert float(numeric_loss(other, labels, present)) == float(loss.detach())


def test_pairing_loss_is_clips():
    """It is the symmetric cross-entropy of CLIP, whose mean over pairs CLIP minimises."""
    generator = torch.Generator().manual_seed(0)
    videos, numbers = (
        functional.normalize(torch.randn(5, 8, generator=generator, dtype=torch.float64), dim=-1) for _ in range(2)
    )
    losses = pairing_loss(videos, numbers, scale=10.0)
    similarity = (10.0 * videos @ numbers.T).exp()
    for i, loss in enumerate(losses):
        over_numbers = -torch.log(similarity[i, i] / similarity[i].sum())
        over_videos = -torch.log(similarity[i, i] / similarity[:, i].sum())
        torch.testing.assert_close(loss, (over_numbers + over_videos) / 2)


def test_pairing_loss_falls_when_pairs_meet():
    """Videos that equal their own numbers have less loss than videos that equal their neighbour's."""
    numbers = torch.eye(4)
    assert pairing_loss(numbers, numbers).max() < 1e-3
    assert pairing_loss(numbers.roll(1, 0), numbers).min() > 10
