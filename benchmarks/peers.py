"""Prints the time of our video encoder vs. the public Vita-CLIP's, on the same weights and windows, in one run.

    git clone https://github.com/TalalWasim/Vita-CLIP somewhere
    python benchmarks/peers.py somewhere
    python benchmarks/peers.py somewhere --frames 70 --batch 1
    python benchmarks/peers.py somewhere --device cuda --precision bf16

Their code is imported from the checkout (`training/VitaCLIP_vision_encoder.py`, which needs einops); nothing of it is here. It runs as
a program of yours, so name a checkout that you trust. The outputs are compared before anything is timed. ViT-B/16, 224 px, all prompts,
random weights; both sides train the same weights, and the frozen ones take no gradient.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.figures import Figure, as_a_worker, figure, in_turns, parser, show, timed
from benchmarks.gpu_rows import synchronise
from trainables.errors import StridefoldError
from trainables.model.backbone import fold_tower
from trainables.model.video_encoder import VideoEncoder

MODULE = "VitaCLIP_vision_encoder"
TRAINED = ("prompts", "summary", "cls_proj", "time_embed")
"""Parts of the names of weights that are trained, on both sides."""
SIZES = {"input_size": (224, 224), "feature_dim": 768, "patch_size": (16, 16), "num_heads": 12, "num_layers": 12,
         "mlp_factor": 4.0, "embed_dim": 512, "use_summary_token": True, "use_local_prompts": True,
         "use_global_prompts": True, "num_global_prompts": 8}  # fmt: skip
ALIKE = {"float32": 1e-4, "bf16": 0.05}
"""Largest difference of the outputs, by the norm of theirs."""


def main() -> int:
    """Measures and prints the figures; returns 1 where the checkout cannot be used or computes something else."""
    as_a_worker()
    options = parser(__doc__)
    options.add_argument("checkout", type=Path, help="folder of the public repository, or its folder training")
    options.add_argument("--frames", type=int, default=8, help="T (default 8)")
    options.add_argument("--batch", type=int, default=2, help="windows (default 2)")
    options.add_argument("--rounds", type=int, default=3, help="timed rounds after one that is not (default 3)")
    options.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    options.add_argument(
        "--precision", choices=tuple(ALIKE), default="float32", help="of the products (default float32)"
    )
    given = options.parse_args()
    try:
        theirs = load_peer(given.checkout)(**SIZES, num_frames=given.frames)
        show(figures(theirs, given.frames, given.batch, given.rounds, torch.device(given.device), given.precision))
    except StridefoldError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def load_peer(checkout: Path) -> Callable[..., nn.Module]:
    """Returns the public encoder's class.

    Raises:
        StridefoldError: The file is not in the checkout, or it cannot be imported.
    """
    folders = [checkout / "training", checkout]
    folder = next((f for f in folders if (f / f"{MODULE}.py").is_file()), None)
    if folder is None:
        raise StridefoldError(
            f"{checkout} has no training/{MODULE}.py; name a checkout of the public Vita-CLIP repository"
        )
    sys.path.insert(0, str(folder.resolve()))  # their modules import one another by name
    try:
        found: Callable[..., nn.Module] = importlib.import_module(MODULE).CLIPVisionEncoder
    except (ImportError, AttributeError) as error:
        raise StridefoldError(
            f"{folder / MODULE}.py cannot be used: {error}; it needs einops: pip install einops"
        ) from None
    finally:
        sys.path.pop(0)
    return found


def figures(
    theirs: nn.Module, frames: int, batch: int, rounds: int, device: torch.device, precision: str
) -> Iterator[Figure]:
    """Yields the figures of a forward pass, and of a forward and backward pass.

    Raises:
        StridefoldError: The two encoders give different features for the same weights and windows.
    """
    ours = VideoEncoder.from_vita_clip(theirs.state_dict(), SIZES | {"num_frames": frames})
    fold_tower(ours.vision, ours.vision.config)  # as training has it
    for model in (ours, theirs):
        model.to(device)
        for name, weight in model.named_parameters():
            weight.requires_grad_(any(part in name for part in TRAINED))
    sides = {
        "ours": Side(
            ours, lambda output: output.video, torch.randn(batch, frames, 3, 224, 224, device=device), precision
        )
    }
    pixels = sides["ours"].pixels.transpose(1, 2)  # theirs are [B, 3, T, H, W]
    sides["theirs"] = Side(theirs, lambda output: output, pixels, precision)
    with torch.no_grad():
        own, other = (side.features().double() for side in sides.values())
    apart = float((own - other).norm() / other.norm())
    if not apart <= ALIKE[precision]:
        raise StridefoldError(
            f"the encoders' features differ by {apart:.1e}, but may by {ALIKE[precision]:g}: is it the public Vita-CLIP?"
        )
    size = f"ViT-B/16, T = {frames}, batch {batch}, {device.type}, {precision}"
    for what in ("forward", "forward and backward"):
        own_call, other_call = (side.forward if what == "forward" else side.both for side in sides.values())
        own_call(), other_call()
        yield figure(f"video encoder, {what}, {size}; features differ by {apart:.0e}", in_turns(own_call, other_call, rounds), unit="s",
                     beside="the public Vita-CLIP's")  # fmt: skip


class Side:
    """One of the two encoders, with its windows."""

    def __init__(self, model: nn.Module, video: Callable[[Any], Tensor], pixels: Tensor, precision: str):
        """Takes an encoder; `video` takes the features from its output."""
        self.model, self.video, self.pixels, self.precision = model, video, pixels, precision

    def features(self) -> Tensor:
        """Returns the features of the windows, [B, D]."""
        with torch.autocast(self.pixels.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.video(self.model(self.pixels))

    def forward(self) -> float:
        """Returns the seconds of a forward pass without gradient."""
        with torch.inference_mode():
            return self._seconds(self.features)

    def both(self) -> float:
        """Returns the seconds of a forward and a backward pass."""
        self.model.zero_grad(set_to_none=True)
        return self._seconds(lambda: self.features().float().square().sum().backward())

    def _seconds(self, call: Callable[[], object]) -> float:
        def whole() -> None:
            call()
            synchronise(self.pixels.device)

        synchronise(self.pixels.device)
        return timed(whole)


if __name__ == "__main__":
    sys.exit(main())
