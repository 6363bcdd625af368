"""Plain words for metrics, states and settings."""

from typing import Any

METRICS = {
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "accuracy": "Accuracy",
    "quadratic_kappa": "Quadratic kappa",
    "mean_absolute_error": "Mean absolute error",
}
EXPLAINED = {
    "balanced_accuracy": "Share of each class that is found, averaged over the classes.",
    "macro_f1": "Balance of precision and recall in each class, averaged over the classes.",
    "accuracy": "Share of all answers that are right.",
    "quadratic_kappa": "Agreement beyond chance; answers far from the truth cost more. 1 is perfect, 0 is chance.",
    "mean_absolute_error": "Mean distance between answer and truth, in classes. 0 is perfect, lower is better.",
}
STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped early",
    "FAIL": "failed",
    "RUNNING": "not finished",
    "WAITING": "waiting",
}
MODELS = {
    "clip": "the knowledge-augmented video CLIP",
    "untrained": "the knowledge-augmented video CLIP as it is before training, without the motion read-out (a baseline)",
    "frozen_motion": "the motion read-out in closed form on the untrained video CLIP (a baseline)",
    "vita_clip": "Vita-CLIP without clinical knowledge or numbers (a baseline)",
    "linear_probe": "a linear classifier on frozen video features (a baseline)",
    "parameters": "a classifier on the measured gait parameters alone (a baseline)",
    "tuned_linear_probe": "a linear classifier on frozen video features, its penalty tuned inside each fold (a baseline)",
    "tuned_parameters": "a classifier on the gait parameters alone, its penalty tuned inside each fold (a baseline)",
    "attributes": "a classifier on the subjects' attributes alone (a baseline)",
    "recording": "a classifier on facts of the video file alone (a baseline)",
    "single_frame": "a linear classifier on one frame of each video (a baseline)",
}
EXPLAINED_BASELINES = {
    "untrained": "the same model before its first step of training, and without the motion read-out",
    "frozen_motion": "the untrained model with the motion read-out in closed form; no step was taken",
    "parameters": "a classifier on the measured gait parameters, without any video",
    "linear_probe": "a linear classifier on the mean of the frozen video features",
    "tuned_parameters": "a classifier on the measured gait parameters, its penalty tuned by inner cross-validation over the training subjects of each fold, so that the best of many trials is not compared with an untuned method",
    "tuned_linear_probe": "the linear classifier on frozen video features, its penalty tuned by inner cross-validation over the training subjects of each fold",
    "vita_clip": "the video CLIP trained without clinical knowledge, numbers or motion read-out",
    "attributes": "a classifier on what is known of the people apart from their gait, such as age, sex and site, without any video",
    "recording": "a classifier on length, size, frame rate, bytes and light of the recording, whoever walks in it",
    "single_frame": "a linear classifier on the frozen feature of each video's middle frame, in which nothing moves",
}
BASELINES = {
    "untrained": "the untrained model",
    "frozen_motion": "the motion read-out without training",
    "parameters": "gait parameters alone",
    "linear_probe": "frozen video features",
    "tuned_parameters": "gait parameters alone, tuned",
    "tuned_linear_probe": "frozen video features, tuned",
    "vita_clip": "Vita-CLIP",
    "attributes": "attributes of the people alone",
    "recording": "facts of the recording alone",
    "single_frame": "one frame alone",
}
KNOWLEDGE_SOURCES = {
    "own": "its own",
    "swapped": "another class's",
    "random": "random vectors and keywords about household things",
}
SETTINGS = {
    "model": "model",
    "video.frames": "frames per window",
    "video.window": "window length (frames)",
    "video.stride": "window stride (frames)",
    "video.min_tail": "shortest last window (frames)",
    "video.tail": "last window of a video",
    "video.time_positions": "positions in time",
    "video.prompts_from": "prompts to start from",
    "video.prompts_sha256": "hash of the prompts to start from",
    "video.n_global": "global video prompts",
    "video.local": "local video prompts",
    "video.summary": "summary token",
    "video.first_prompted_layer": "first prompted layer",
    "augment.light": "change of light",
    "augment.shift": "shift",
    "augment.scale": "change of scale",
    "augment.mirror": "mirroring",
    "motion.readout": "motion read-out",
    "motion.components": "components of the read-out",
    "motion.penalty": "ridge penalty of the read-out",
    "motion.share": "share of CLIP's answer",
    "motion.temperature": "temperature of the answer",
    "text.n_ctx": "prompt length (tokens)",
    "text.context_init": "start of the prompt",
    "text.knowledge": "clinical notion",
    "text.knowledge_source": "whose knowledge",
    "text.keywords": "keywords",
    "text.notions": "embeddings of notions",
    "text.projector": "projector",
    "text.bottleneck": "projector width",
    "numeracy.enabled": "numeracy",
    "numeracy.encoding": "number encoding",
    "numeracy.clip": "clipping of numbers",
    "numeracy.subset_size": "parameters per record",
    "numeracy.max_correlation": "largest correlation in a record",
    "numeracy.max_subsets": "number of records' subsets",
    "numeracy.weight": "numeracy weight",
    "numeracy.head_width": "numeric head width",
    "numeracy.heads": "numeric heads",
    "numeracy.temperature": "numeric temperature",
    "numeracy.memory_batch": "numeric records per step",
    "numeracy.video_weight": "video-number weight",
    "optimizer.lr": "learning rate",
    "optimizer.prompt_lr": "learning rate of video prompts, in units of the first",
    "optimizer.attention_lr": "learning rate of projections and attention, likewise",
    "optimizer.numeric_lr": "learning rate of numeric heads, likewise",
    "optimizer.readout_lr": "learning rate of the read-out, likewise",
    "optimizer.weight_decay": "weight decay",
    "optimizer.warmup": "share of warm-up",
    "optimizer.clip_norm": "largest gradient norm",
    "optimizer.max_scale": "largest scale of the logits",
    "optimizer.text_anchor": "weight of the text anchor",
    "optimizer.video_anchor": "weight of the video anchor",
    "optimizer.balance": "balanced draws",
    "optimizer.jitter": "jitter of windows",
    "optimizer.steps": "steps",
    "optimizer.accumulation": "micro-batches per step",
    "optimizer.gradient_checkpointing": "gradient checkpointing",
    "optimizer.precision": "precision",
    "optimizer.gpu_step": "how a GPU computes a step",
    "optimizer.epochs": "epochs",
    "optimizer.batch_size": "batch size",
    "optimizer.focal_gamma": "focal exponent",
    "optimizer.focal_alpha": "focal factor",
    "optimizer.focal_gradient": "gradient through the focal weight",
    "optimizer.ordinal_beta": "ordinal weight",
    "decoder.enabled": "decoder",
    "decoder.layers": "decoder layers",
    "decoder.heads": "decoder heads",
    "decoder.width": "decoder width",
    "decoder.steps": "decoder steps",
    "decoder.batch_size": "decoder batch size",
    "decoder.lr": "decoder learning rate",
    "decoder.noise": "noise on decoder inputs",
    "decoder.beams": "beams",
    "seed": "seed",
    "trainings": "trainings of a fold",
}


def setting(name: str) -> str:
    """Returns a setting in words, as 'prompt length (tokens)' for 'text.n_ctx'; an unknown one by its own name."""
    return SETTINGS.get(name, name)


def value(raw: Any) -> str:
    """Returns a setting's value for reading: 'on', '12', '0.00025'."""
    if isinstance(raw, bool):
        return "on" if raw else "off"
    if isinstance(raw, float):
        return scientific(raw)
    return str(raw).replace("_", " ")


def scientific(number: float) -> str:
    """Returns three figures of a number, a very small one as '2.5 × 10⁻⁵'."""
    if number == 0 or abs(number) >= 1e-3:
        return f"{number:.3g}".replace("-", "−")
    digits, _, power = f"{number:.2e}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{float(digits):g}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{raised}".replace("-", "−")


def sentence(text: str) -> str:
    """Returns the text with a capital at its beginning, and the rest as it is."""
    return text[:1].upper() + text[1:]


def metric(text: str) -> str:
    """Returns 'subject/macro_f1' as 'macro F1 per subject'."""
    level, _, name = text.rpartition("/")
    words = METRICS.get(name, name)
    return f"{words[0].lower()}{words[1:]} per {level or 'subject'}"


def duration(seconds: float) -> str:
    """Returns a time for reading: '42 s', '12 min', '3 h 05 min'."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def contents(compared: bool, mapped: bool, grouped: bool = False) -> tuple[tuple[str, str], ...]:
    """Returns (id, heading) of the page's sections, in order; comparisons, subgroups and maps only where there are any."""
    return (
        ("answer", "The answer"),
        ("cohort", "The cohort"),
        ("results", "Results in detail"),
        *((("comparisons", "Compared with simpler methods"),) if compared else ()),
        *((("subgroups", "Subgroups"),) if grouped else ()),
        ("search", "The search"),
        ("words", "What the classes mean"),
        *((("maps", "Maps"),) if mapped else ()),
        ("mistakes", "Mistakes"),
        ("methods", "Methods"),
        ("provenance", "Where this comes from"),
    )
