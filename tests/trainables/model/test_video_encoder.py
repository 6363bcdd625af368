"""The video encoder against the public implementation's numbers, and what its prompts, frames and gradients must do."""

import json

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPVisionModelWithProjection

from tests import DATA
from trainables.model.frozen_layer import written_out
from trainables.model.video_encoder import VideoEncoder

REFERENCE = DATA / "video_encoder_reference"
PROMPTS = {"n_global": 3, "local": True, "summary": True}


def read_reference(name: str) -> tuple[dict[str, Tensor], str]:
    with safe_open(REFERENCE / f"{name}.safetensors", "pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata()["config"]  # noqa: SIM118


def encoder(frames: int = 3, *, seed: int = 0, **options) -> VideoEncoder:
    """Returns a random encoder of two layers with a frozen tower."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        tower = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                image_size=32,
                patch_size=16,
                projection_dim=24,
            )
        ).requires_grad_(False)
        for weight in tower.parameters():
            weight.mul_(3.0)
        return VideoEncoder(tower.vision_model, tower.visual_projection, frames=frames, **(PROMPTS | options))


def video(frames: int = 3, *, seed: int = 0) -> Tensor:
    return torch.randn(2, frames, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def gradient_of(model: VideoEncoder, theirs: str) -> Tensor:
    """Returns our gradient of a weight by the public implementation's name."""
    if theirs == "time_embed":
        return model.time_embedding.grad
    if theirs == "global_prompts":
        return torch.stack([layer.global_prompts.grad for layer in model.prompts])
    _, index, name = theirs.split(".", 2)
    layer = model.prompts[int(index)]
    if name == "local_prompts":
        return layer.local_prompts.grad.unsqueeze(0)
    module, leaf = name.split(".", 1)
    if module == "summary_ln":
        return getattr(layer.summary_norm, leaf).grad
    if leaf.startswith("out_proj"):
        return getattr(layer.summary_attention.out_proj, leaf.split(".")[1]).grad
    whole = getattr(layer.summary_attention, f"in_proj_{leaf.split('.')[1]}").grad
    return whole.chunk(3)["qkv".index(leaf[0])]


@pytest.mark.parametrize("name", ["all", "global_only", "local_only", "summary_only", "no_prompts"])
def test_public_implementation(name):
    """Outputs and prompt gradients are those of the public implementation."""
    reference, config = read_reference(name)
    weights = {key.removeprefix("weights."): value for key, value in reference.items() if key.startswith("weights.")}
    model = VideoEncoder.from_vita_clip(weights, config)
    output = model(reference["input"].transpose(1, 2)).video  # theirs are [B, 3, T, H, W]
    torch.testing.assert_close(output, reference["output"], rtol=1e-5, atol=1e-5)
    (output * reference["cotangent"]).sum().backward()
    gradients = {key.removeprefix("grad."): value for key, value in reference.items() if key.startswith("grad.")}
    assert len(gradients) == {"all": 24, "global_only": 2, "local_only": 3, "summary_only": 21, "no_prompts": 1}[name]
    for key, expected in gradients.items():
        # A gradient is compared by its largest entry: the key bias's is zero but for rounding.
        scale = max(float(expected.abs().max()), 1e-3)
        torch.testing.assert_close(gradient_of(model, key) / scale, expected / scale, rtol=1e-4, atol=1e-4, msg=key)


def test_three_forms_of_the_configuration():
    """A dict, its JSON and safetensors metadata are the same sizes."""
    reference, config = read_reference("no_prompts")
    weights = {key.removeprefix("weights."): value for key, value in reference.items() if key.startswith("weights.")}
    forms = [config, json.loads(config), {"config": config}]
    outputs = [VideoEncoder.from_vita_clip(weights, form)(reference["input"].transpose(1, 2)).video for form in forms]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize("frames", [1, 5, 70])
def test_any_number_of_frames(frames):
    """T is free: one frame, few and the paper's seventy."""
    features = encoder(frames)(video(frames))
    assert features.video.shape == (2, 24)
    assert features.frames.shape == (2, frames, 24)
    assert features.summary.shape == (2, 32)
    torch.testing.assert_close(features.frames.mean(1), features.video)


@pytest.mark.parametrize(
    ("off", "gone"),
    [
        ({"n_global": 0}, ["global_prompts"]),
        ({"local": False}, ["local_prompts"]),
        ({"summary": False}, ["summary_norm", "summary_attention"]),
        ({"local": False, "summary": False}, ["local_prompts", "summary_norm", "summary_attention", "cls_projection"]),
    ],
)
def test_each_prompt_can_be_switched_off(off, gone):
    """A prompt that is off has no weights, and its absence changes the output."""
    whole, less = encoder(), encoder(**off)
    less.load_state_dict({n: w for n, w in whole.state_dict().items() if not any(part in n for part in gone)})
    assert not any(part in name for name, _ in less.named_parameters() for part in gone)
    assert (less(video()).video - whole(video()).video).abs().max() > 1e-3
    assert (less(video()).summary is None) == (off.get("summary") is False)


def test_videos_of_a_batch_do_not_see_each_other():
    """A video's feature does not depend on its neighbour."""
    model, pair = encoder(), video()
    torch.testing.assert_close(model(pair).video[:1], model(pair[:1]).video)


def test_frames_see_each_other_through_prompts_only():
    """Another last frame changes the first frame's feature with local or summary prompts, and not without them."""
    first = video()
    second = first.clone()
    second[:, 2] = video(seed=1)[:, 2]
    for options, sees in (({}, True), ({"summary": False}, True), ({"local": False, "summary": False}, False)):
        model = encoder(**options)
        moved = (model(first).frames[:, 0] - model(second).frames[:, 0]).abs().max()
        assert (moved > 1e-4) == sees


def test_class_token_projection_starts_as_the_identity_and_is_trained():
    """The projection that the public codes leave random and frozen starts as the identity and gets a gradient."""
    model = encoder()
    for layer in model.prompts:
        assert torch.equal(layer.cls_projection.weight, torch.eye(32))
        assert not layer.cls_projection.bias.any()
    model(video()).video.square().sum().backward()
    for layer in model.prompts:
        assert layer.cls_projection.weight.grad.abs().max() > 1e-6


def test_only_prompts_are_trained():
    """Every prompt weight takes a gradient and no weight of the tower does."""
    model = encoder()
    model(video()).video.square().sum().backward()
    for name, weight in model.named_parameters():
        frozen = name.startswith(("vision.", "projection."))
        assert (weight.grad is None) == frozen, name
        assert frozen or weight.grad.abs().sum() > 0, name


def test_gradient_checkpointing_changes_no_gradient():
    """Recomputed layers give the same output and the same gradients."""
    plain, recomputed = encoder(), encoder(gradient_checkpointing=True)
    outputs = [model(video()) for model in (plain, recomputed)]
    assert torch.equal(outputs[0].video, outputs[1].video)
    for output in outputs:
        (output.video.square().sum() + output.summary.sum()).backward()
    for (name, weight), other in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, other.grad, msg=name)


def test_the_summary_is_what_the_last_layer_is_given():
    """As in the release it is read before that layer: the mean over frames of the class tokens' attention over time."""
    model, entered = encoder(), []
    model.prompts[-1].register_forward_pre_hook(lambda _, given: entered.append(given[0]))
    summary = model(video()).summary
    (cls,) = entered
    last = model.prompts[-1]
    projected = last.cls_projection(cls)
    normed = last.summary_norm(projected)
    expected = projected + last.summary_attention(normed, normed, normed)[0]  # [B, T, W]
    torch.testing.assert_close(summary, expected.mean(1))


def test_attention_written_out_is_attention():
    """What bf16 on a CPU takes instead of torch's own gives the same outputs and gradients."""
    asked = [torch.randn(2, 3, n, 8, dtype=torch.float64, requires_grad=True) for n in (5, 7, 7)]
    theirs = torch.nn.functional.scaled_dot_product_attention(*asked)
    ours = written_out(*asked)
    torch.testing.assert_close(ours, theirs)
    ahead = torch.randn_like(ours)
    torch.testing.assert_close(torch.autograd.grad(ours, asked, ahead), torch.autograd.grad(theirs, asked, ahead))


def test_size_of_the_paper():
    """At 70 frames of ViT-B/16 the published prompts are 29.1 million weights, 28.4 of them in the summary's attention."""
    with torch.device("meta"):
        tower = CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=16)).requires_grad_(False)
        model = VideoEncoder(tower.vision_model, tower.visual_projection, frames=70)
    trained = {name: weight.numel() for name, weight in model.named_parameters() if weight.requires_grad}
    ours_alone = sum(count for name, count in trained.items() if "cls_projection" in name)  # frozen in the public codes
    assert round((sum(trained.values()) - ours_alone) / 1e6, 1) == 29.1
    assert round(sum(count for name, count in trained.items() if "summary" in name) / 1e6, 1) == 28.4
