"""A step replayed from a CUDA graph is the step itself: on a GPU; and windows that count nothing change nothing: anywhere."""

import numpy as np
import pytest
import torch

from benchmarks.gpu_models import TINY, Step, make_step, random_batch
from tests.errors import coded
from trainables.errors import StridefoldError

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")


def gradients(step: Step) -> dict[str, torch.Tensor]:
    """Returns the gradients of a step that was just taken, on the CPU."""
    return {name: p.grad.float().cpu().clone() for name, p in step.task.model.trained() if p.grad is not None}


def assert_alike(own: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Checks that two sets of gradients are the same to float error, each by its largest entry."""
    assert own.keys() == other.keys()
    for name, gradient in own.items():
        scale = gradient.abs().max() + 1e-6
        torch.testing.assert_close(other[name] / scale, gradient / scale, rtol=0, atol=1e-3, msg=name)


def test_windows_that_count_nothing_change_no_gradient() -> None:
    """Beside a batch, windows of weight 0 leave losses and gradients as they are; that is how a short batch is replayed."""
    found = []
    for windows in (2, 3):
        step = make_step(TINY, 2, windows, CPU)
        given = step.task._inputs(step.batch, 2, np.random.default_rng(0))
        given.weights[2:] = 0
        losses = step.task._losses(given, None)
        found.append((gradients(step), {name: float(loss) for name, loss in losses.items()}))
    (own, losses), (other, others) = found
    assert others == pytest.approx(losses, rel=1e-5)
    assert_alike(own, other)


@needs_gpu
@pytest.mark.parametrize("accumulation", [1, 2])
def test_replayed_steps_are_the_steps(accumulation: int) -> None:
    """Whatever the batches' sizes, a graph gives the losses and gradients of kernel by kernel, step after step."""
    device = torch.device("cuda")
    eager, graph = (make_step(TINY, 3, 4, device, precision="float32", gpu_step=how, accumulation=accumulation)
                    for how in ("eager", "graph"))  # fmt: skip
    assert graph.task.recorded is not None
    assert eager.task.recorded is None
    for number, windows in enumerate((4, 4, 2, 1, 6, 5)):  # the first is recorded, and the one that is larger again
        for step in (eager, graph):
            step.batch = random_batch(TINY, 3, windows, device, seed=number)
        losses, others = eager(), graph()
        assert others == pytest.approx(losses, rel=1e-3)
        assert_alike(gradients(eager), gradients(graph))


@needs_gpu
def test_replayed_gradient_that_is_not_finite() -> None:
    """A weight that is not a number ends a replayed step as it ends any other."""
    step = make_step(TINY, 3, 2, torch.device("cuda"), precision="float32")
    step()
    with torch.no_grad():
        step.task.model.log_scale.fill_(float("nan"))
    with pytest.raises(StridefoldError, check=coded("training.not_finite")):
        step()
