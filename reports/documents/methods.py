"""The methods paragraphs, made from the chosen configuration and nothing else."""

from collections.abc import Iterator
from typing import Any

from reports.numbers.decision_curve import DecisionCurve
from reports.numbers.prediction_sets import StudySets
from reports.wording import KNOWLEDGE_SOURCES, MODELS, metric, scientific, value
from trainables.config import TrainConfig
from trainables.model_kinds import FROM_NUMBERS, KINDS, METHOD


def methods(
    config: dict[str, Any],
    *,
    ordinal: bool,
    folds: int,
    splits: str,
    backbone: str,
    metric_text: str,
    options: dict[str, Any],
    trials: int,
) -> tuple[str, ...]:
    """Returns three paragraphs: the model, its training, its evaluation.

    Args:
        config: A flat configuration; missing settings take their defaults.
        ordinal: Whether the classes have an order.
        folds: Number of folds.
        splits: Splits.method.
        backbone: Name of the frozen CLIP.
        metric_text: StudyRecord.metric.
        options: StudyRecord.options; what it says of the search is told where it is given.
        trials: Configurations that the search began.
    """
    c = TrainConfig().flat() | config
    about = [
        f"{word} {options[name]}"
        for name, word in (("space", "search space"), ("sampler", "sampler"))
        if name in options
    ]
    search = f"{trials} {'trial' if trials == 1 else 'trials'}" + (f" ({', '.join(about)})" if about else "")
    evaluation = (
        f"Subjects were divided into {folds} folds ({splits}); all videos of a subject stayed on one side, and whatever is fitted "
        "was fitted on the training side only. Probabilities were averaged from windows to videos and from videos to subjects. "
        f"The search ran {search} and compared configurations by {metric(metric_text)}. {_rules(options)}Intervals are 95 % expanded percentiles of 2000 bootstrap "
        "samples of subjects (Hesterberg 2015) with two imagined subjects added, one answered right and one wrong (Agresti and Coull 1998), and "
        "with the variance raised by 1.4 because folds share training subjects. Chance is the mean score of 1000 shuffles of the true "
        "labels against the same answers."
    )
    return tuple(
        part
        for part in (_model(c, backbone, options.get("knowledge_encoder")), _training(c, ordinal), evaluation)
        if part
    )


def on_single_answers(sets: StudySets | None, decisions: DecisionCurve | None) -> Iterator[str]:
    """Yields a paragraph on prediction sets and on the decision curve, where there are any."""
    if sets is not None and sets.measured:
        record = sets.record
        of = "within each class" if record.by_class else "over all classes together"
        yield (
            f"Prediction sets with a coverage of {record.percent} {of} were made by split conformal prediction from the nested "
            "probabilities of the true class; each subject had the same weight, however many videos there were (Lee, Barber and Willett "
            "2023). Coverage was measured on each outer fold with sets calibrated by the other outer folds."
        )
    if decisions is not None:
        yield (
            f"Net benefit was computed for acting on the class {decisions.label} at thresholds from {decisions.thresholds[0]:g} to "
            f"{decisions.thresholds[-1]:g} (Vickers and Elkin 2006)."
        )


def _rules(options: dict[str, Any]) -> str:
    """Returns sentences, each with a space behind it, about how trials were stopped and chosen, and what was nested."""
    sentences = []
    if options.get("prune") and not options.get("cost") and options.get("choose") != "one_se":
        sentences.append(
            "A configuration was stopped after a fold when it was behind the best one on the subjects of its folds so far, in the "
            f"metric and in the probability of the true class (Wilcoxon's signed-rank test, p < {options['prune']:.3g}). "
        )
    if options.get("choose") == "one_se":
        sentences.append("The cheapest configuration within one standard error of the best score was chosen. ")
    if options.get("outer_folds"):
        sentences.append(
            f"In nested cross-validation the whole search was run again without the subjects of each of {options['outer_folds']} "
            "outer folds, who were then scored once by the mean of the chosen configuration's inner folds. "
        )
    return "".join(sentences)


def _model(c: dict[str, Any], backbone: str, encoder: str | None) -> str:
    sentences = [f"The model was {MODELS.get(c['model'], c['model'])}."]
    if c["model"] not in FROM_NUMBERS:
        sentences.append(
            f"Its frozen backbone was the CLIP named {backbone}. Each video was cut into windows of {c['video.window']} frames at "
            f"30 frames per second, of which {c['video.frames']} evenly spaced frames were used; training windows began every "
            f"{c['video.stride']} frames, and held-out windows did not overlap."
        )
    if KINDS[c["model"]].trained:
        sentences.append(_video_sentence(c))
    if c["model"] == METHOD:
        sentences += [_text_sentence(c, encoder), _number_sentence(c)]
        if c["decoder.enabled"] and c["numeracy.enabled"]:
            sentences.append(
                f"A small language model ({c['decoder.layers']} layers, {c['decoder.width']} wide) was trained on each fold's "
                "training records to turn class features into sentences about gait parameters; their numbers were read by ridge "
                "regression, and no subject had more than a third of the weight of a number."
            )
    return " ".join(sentences)


def _training(c: dict[str, Any], ordinal: bool) -> str:
    if not KINDS[c["model"]].trained:
        return ""  # a baseline's own way of fitting is not a setting
    order = f" and a penalty of {c['optimizer.ordinal_beta']:.3g} for the distance between classes" if ordinal else ""
    passes = "1 pass" if c["optimizer.epochs"] == 1 else f"{c['optimizer.epochs']} passes"
    steps = c.get("optimizer.steps", 0)
    budget = f"{steps} steps" if steps else f"{passes} over the training windows"
    balance = ", drawn evenly by class, subject and video" if c.get("optimizer.balance") else ""
    return (
        f"Training ran for {budget} with AdamW (learning rate {scientific(c['optimizer.lr'])} for the class texts, weight decay "
        f"{c['optimizer.weight_decay']:.3g}, {c['optimizer.batch_size']} windows per step{balance}, cosine decay), seed "
        f"{c['seed']}. "
        f"The classification loss was focal cross-entropy with exponent {c['optimizer.focal_gamma']:.3g}{order}. "
        f"{_motion_sentence(c)}"
        "The model of the last step was used, not that of the best."
    )


def _motion_sentence(c: dict[str, Any]) -> str:
    """Returns what was read of motion beside the prompted video, with a blank behind it."""
    readout = c.get("motion.readout", "off")
    if readout == "statistics":
        return (
            "Order and rhythm of the tokens of the tower without prompts, over all frames of a window, were reduced to "
            f"{c['motion.components']} components on the training windows and added by a ridge regression in closed form. "
        )
    if readout == "convolution":
        return "Convolutions over the frame features of the tower without prompts moved the video feature. "
    return ""


def _video_sentence(c: dict[str, Any]) -> str:
    parts = [f"{c['video.n_global']} global prompts"] if c["video.n_global"] else []
    parts += ["one local prompt per frame"] if c["video.local"] else []
    parts += ["a summary token that attends over time"] if c["video.summary"] else []
    first = c.get("video.first_prompted_layer", 0)
    where = f"In each layer of the video encoder{f' after the first {first}' if first else ''}"
    return f"{where} were learned {_list(parts)}." if parts else "The video encoder had no learned prompts."


def _text_sentence(c: dict[str, Any], encoder: str | None) -> str:
    start = {"zeros": "zeros", "normal": "small random numbers", "words": "the words of a short sentence"}
    read = {"raw": "", "centred": "centred over the task, ", "whitened": "centred and partly whitened over the task, "}
    notion = (
        f"shifted by the embedding of the class's clinical notion ({f'from {encoder}, ' if encoder else ''}{read[c['text.notions']]}"
        f"{_shared(c['text.projector'], 'projector')}, {c['text.bottleneck']} wide)"
        if c["text.knowledge"]
        else "without the clinical notion"
    )
    keywords = "with" if c["text.keywords"] else "without"
    source = c["text.knowledge_source"]
    control = "" if source == "own" else f" As a control, notions and keywords were {KNOWLEDGE_SOURCES[source]}."
    return (
        f"Each class was described by a prompt of {c['text.n_ctx']} learned tokens, begun as "
        f"{start.get(c['text.context_init'], c['text.context_init'])} and {notion}, {keywords} keywords before the class name."
        f"{control}"
    )


def _number_sentence(c: dict[str, Any]) -> str:
    if not c["numeracy.enabled"]:
        return "Gait parameters were not used in training."
    return (
        f"Measured gait parameters of the training subjects were scaled to ±{c['numeracy.clip']:.3g}, written as sentences of "
        f"{c['numeracy.subset_size']} parameters with absolute correlation of at most {c['numeracy.max_correlation']:.3g}, and contrasted with "
        f"the class texts ({value(c['numeracy.encoding'])} number encoding, {_shared(c['numeracy.heads'], 'head')}, weight "
        f"{c['numeracy.weight']:.3g})."
    )


def _shared(choice: str, what: str) -> str:
    return f"one {what} for each class" if choice == "per_class" else f"one {what} for all classes"


def _list(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
