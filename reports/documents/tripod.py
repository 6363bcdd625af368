"""The TRIPOD+AI checklist, answered by what the page shows, and the literature behind the methods paragraphs.

The checklist has 27 items, some of them in parts. Most ask for what only the people of a study know: such an item says
so, and says what they should write. An answer of the software's own names the section of the page where it stands,
and begins with 'In part' where the item asks for more than that section tells.

Source: Collins et al. 2024, BMJ 385:e078378, table 2; the topics are in our own words.
"""

from dataclasses import dataclass
from typing import Any

from reports.numbers.analysis import Analysis
from reports.numbers.descriptions import as_read
from trainables.config import TrainConfig
from trainables.model_kinds import FROM_NUMBERS, KINDS, METHOD

NOT_SUPPLIED = "Not supplied by the software"
NOT_YET = "Not yet: no configuration has finished all folds."
NOBODY = "No person took part: the walkers are simulated."
ITEMS = (
    ("1", "Title", "name the model, the people it is for and the outcome in the title of your report"),
    ("2", "Abstract", "write it by TRIPOD+AI for Abstracts"),
    ("3a", "Background: context", "explain the clinical question and name earlier models"),
    ("3b", "Background: purpose", "say whom the model is for, when in their care, and who uses it"),
    ("3c", "Background: inequalities", "describe known inequalities of health between groups of people"),
    ("4", "Objectives", "state the aim; this page tells of a model's development, not of its use in other places"),
    ("5a", "Data: sources", "describe where the videos are from, why these, and whom they represent"),
    ("5b", "Data: dates", "give the dates of the recordings"),
    ("6a", "Participants: setting", "describe the centres, their number and places"),
    ("6b", "Participants: eligibility", "give the criteria by which people were included"),
    ("6c", "Participants: treatments", "describe treatments, such as medication while walking"),
    ("7", "Data preparation", "describe how the data were prepared and checked, and whether alike in all groups"),
    ("8a", "Outcome: definition", "define the classes, and say how and when they were assessed"),
    ("8b", "Outcome: assessors", "describe who gave the labels, and their training"),
    ("8c", "Outcome: blinding", "say what was hidden from those who gave the labels"),
    ("9a", "Predictors: choice", "say why these videos and gait parameters were taken"),
    ("9b", "Predictors: definition", "describe how walking was filmed and the gait parameters measured"),
    ("9c", "Predictors: assessors", "describe who measured what needs judgement"),
    ("10", "Sample size", "explain how the number of subjects came about, and why it is enough"),
    ("11", "Missing data", "say what is missing, and why"),
    ("12a", "Analysis: use of the data", "describe which data were used for what"),
    ("12b", "Analysis: predictors", "describe how the predictors entered the model"),
    ("12c", "Analysis: model", "describe the kind of model, why it was chosen, and how it was built and checked"),
    ("12d", "Analysis: clusters", "it knows no centres; describe what was done about differences between them"),
    ("12e", "Analysis: performance", "name the measures of performance, and why these"),
    ("12f", "Analysis: updating", "it updates no model; describe an update of your own"),
    ("12g", "Analysis: predictions", "describe how predictions were computed"),
    ("13", "Class imbalance", "say what was done about classes of different size"),
    ("14", "Fairness", "it knows no groups of people; describe what was done for fairness, and why"),
    ("15", "Model output", "describe what the model puts out, and any thresholds"),
    ("16", "Training versus evaluation", "describe how the data for training and evaluation differ"),
    ("17", "Ethical approval", "name the ethics committee, and describe consent"),
    ("18a", "Funding", "name the funders and their role"),
    ("18b", "Conflicts of interest", "declare them for all authors"),
    ("18c", "Protocol", "say where the protocol is, or that there is none"),
    ("18d", "Registration", "give the register and number, or say that the study is in none"),
    ("18e", "Data sharing", "say who can have the data, and how"),
    ("18f", "Code sharing", "say where the code is"),
    ("19", "Patient and public involvement", "describe it, or say that there was none"),
    ("20a", "Participants: flow", "show how many people were asked, included and left out"),
    ("20b", "Participants: characteristics", "describe the people: age, sex, disease, and what is missing"),
    ("20c", "Participants: comparison", "compare the people of evaluation with those of development"),
    ("21", "Model development", "give the numbers of people and outcomes in each analysis"),
    ("22", "Model specification", "give the whole model, and say who may use it"),
    ("23a", "Performance: estimates", "give the scores with their intervals, also of subgroups"),
    ("23b", "Performance: clusters", "it knows no centres; give the scores of each"),
    ("24", "Model updating", "it updates no model; give the results of an update of your own"),
    ("25", "Interpretation", "say what the results mean in view of earlier studies, also for fairness"),
    ("26", "Limitations", "discuss the limits of the study"),
    ("27a", "Usability: poor input", "say what to do with bad or missing videos and numbers"),
    ("27b", "Usability: users", "say what users must do and know"),
    ("27c", "Usability: next steps", "say what must be studied next, and in whom"),
)  # fmt: skip
"""(number, topic, what a person should write where the page does not tell)."""
ABOUT_PEOPLE = ("5a", "5b", "6a", "6b", "6c", "8b", "8c", "9c", "17")
"""Items that simulated walkers leave nothing to say about."""
FROM_RESULTS = ("7", "12b", "12c", "12e", "12g", "13", "15", "22", "23a", "26")
"""Items that the page may answer once a configuration has finished every fold."""
Shown = dict[str, tuple[str, str]]
"""(answer, section) by the item's number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One item of the checklist."""

    number: str
    """As '12a'."""
    topic: str
    answer: str
    section: str | None
    """Id of the section of the page that answers; None where a person must, or where there is nothing to answer yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One publication."""

    about: str
    """What it is cited for."""
    citation: str


def checklist(analysis: Analysis) -> tuple[Item, ...]:
    """Returns all items in the order of the checklist, each answered once."""
    shown = _of_cohort(analysis) | _of_method(analysis) | _of_scores(analysis)
    return tuple(_item(analysis, number, topic, task, shown) for number, topic, task in ITEMS)


def _item(analysis: Analysis, number: str, topic: str, task: str, shown: Shown) -> Item:
    section = None
    if number in shown:
        answer, section = shown[number]
    elif analysis.results is None and number in FROM_RESULTS:
        answer = NOT_YET
    elif analysis.cohort.simulated and number in ABOUT_PEOPLE:
        answer = NOBODY
    else:
        answer = f"{NOT_SUPPLIED}: {task}."
    return Item(number=number, topic=topic, answer=answer, section=section)


def _of_cohort(analysis: Analysis) -> Shown:
    """Returns what the cohort, its folds and the origin of the page tell; these are known before any result."""
    left_out = "the rows left out, with the reason" if analysis.cohort.excluded else "that no row was left out"
    shown = {
        "8a": ("In part: the label's column and the classes; how and when they were assessed is yours to say.", "cohort"),
        "11": (f"In part: {left_out}{_missing(analysis)}; why it is missing is yours to say.", "cohort"),
        "12a": ("In part: all videos of a subject are on one side of every fold, and the ledger shows who was tested in which; what else the data were used for is yours to say.", "cohort"),
        "16": ("In part: both are of one cohort, divided by subject; the ledger shows the classes of each test side.", "cohort"),
        "18f": ("In part: the version of the code; where it can be had is yours to say.", "provenance"),
        "20a": (f"In part: the subjects of each class, and {left_out}; who was asked is yours to say.", "cohort"),
        "20b": ("In part: subjects and videos of each class, and nothing else about the people.", "cohort"),
        "20c": ("In part: the classes of each fold's test side, and nothing else about the people.", "cohort"),
        "21": ("In part: subjects and videos of both sides of each fold, with the classes of the test side alone.", "cohort"),
    }  # fmt: skip
    if _nested(analysis):
        shown["12a"] = (
            "In part: outer folds whose subjects no search saw; what else the data were used for is yours to say.",
            "comparisons",
        )
    return shown


def _missing(analysis: Analysis) -> str:
    return ", and the gait parameters that are missing by class and by fold" if analysis.missing else ""


def _of_method(analysis: Analysis) -> Shown:
    """Returns what the methods paragraphs tell of the chosen configuration; nothing before there is one."""
    config = _configuration(analysis)
    if not config:
        return {}
    model = config["model"]
    trained, numbers = KINDS[model].trained, model == METHOD and config["numeracy.enabled"]
    nested = ", nested" if _nested(analysis) else ""
    built = f"the search and its folds{nested}; why this kind of model is yours to say."
    shown = {
        "12c": (f"In part: the model, {'its training, ' if trained else ''}{built}", "methods"),
        "12g": ("Probabilities are averaged from windows to videos and from videos to subjects.", "methods"),
        "15": ("In part: a probability for each class, averaged; the most probable class is the answer, without a threshold.", "methods"),
        "22": ("In part: every setting of the chosen configuration; who may have its weights is yours to say.", "answer"),
    }  # fmt: skip
    if model not in FROM_NUMBERS:
        scaled = ", and how numbers became sentences" if numbers else ""
        shown["7"] = ("In part: how videos were cut into windows; whether this suits all groups is yours to say.", "methods")  # fmt: skip
        shown["12b"] = (f"How videos became windows of frames{scaled}.", "methods")
    if trained and config["optimizer.focal_gamma"] > 0:
        shown["13"] = ("In part: a focal loss, which counts easy windows less; nothing was recalibrated.", "methods")
    return shown


def _of_scores(analysis: Analysis) -> Shown:
    """Returns what the scores tell; nothing before there are any."""
    if analysis.results is None:
        return {}
    sure = "and calibration; not use" if analysis.results.calibration else "not calibration, and not use"
    measures = f"In part: each score with its meaning, its interval and chance, {sure} in a clinic."
    shown = {"12e": (measures, "results")}
    grouped = bool(analysis.results.subgroups)
    if _nested(analysis):
        by = "selection scores by subgroup" if grouped else "nothing by subgroup"
        shown["23a"] = (f"In part: the nested estimate with its interval, on subjects that no search saw; {by}.", "answer")  # fmt: skip
        shown["26"] = ("In part: how optimistic the searches were, and what the intervals cover.", "answer")
    else:
        by = "by subgroup too" if grouped else "nothing by subgroup"
        shown["23a"] = (f"In part: selection scores with intervals, which are optimistic; no nested estimate, and {by}.", "answer")  # fmt: skip
        shown["26"] = ("In part: that the score is one of selection, and what its interval covers.", "answer")
    nested = analysis.nested.comparisons if analysis.nested and _nested(analysis) else ()
    if any(c.least is not None for c in (*analysis.results.comparisons, *nested)):
        shown["10"] = (
            "In part: what differences a cohort of this size could have shown; why it has this size is yours to say.",
            "comparisons",
        )
    if analysis.study.options.get("fold_column"):
        each = "In part: each fold, where the folds of the cohort's own table are the centres."
        shown |= {"12d": (each, "results"), "23b": (each, "results")}
    return shown


def _nested(analysis: Analysis) -> bool:
    return analysis.nested is not None and analysis.nested.estimate is not None


def _configuration(analysis: Analysis) -> dict[str, Any]:
    """Returns the chosen configuration, flat; an empty one before there is a choice."""
    return TrainConfig().flat() | as_read(analysis.results.trial.config, analysis.words) if analysis.results else {}


LITERATURE = {
    "method": Reference(about="the method",
        citation="Wang D, Yuan K, Muller C, Blanc F, Padoy N, Seo H. Enhancing Gait Video Analysis in Neurodegenerative Diseases by Knowledge Augmentation in Vision Language Model. MICCAI 2024. arXiv:2403.13756"),
    "extension": Reference(about="the method's extension",
        citation="GaVA-CLIP: Refining Multimodal Representations with Clinical Knowledge and Numerical Parameters for Gait Video Analysis in Neurodegenerative Diseases. HAL hal-04769811"),
    "clip": Reference(about="CLIP, the kind of the frozen backbone",
        citation="Radford A, Kim JW, Hallacy C, et al. Learning Transferable Visual Models From Natural Language Supervision. ICML 2021. arXiv:2103.00020"),
    "vita_clip": Reference(about="prompts in the video encoder",
        citation="Wasim ST, Naseer M, Khan S, Khan FS, Shah M. Vita-CLIP: Video and text adaptive CLIP via Multimodal Prompting. CVPR 2023. arXiv:2304.03307"),
    "coop": Reference(about="learned prompts in the text encoder",
        citation="Zhou K, Yang J, Loy CC, Liu Z. Learning to Prompt for Vision-Language Models. International Journal of Computer Vision 2022;130:2337-2348. arXiv:2109.01134"),
    "kapt": Reference(about="knowledge in the prompts",
        citation="Kan B, Wang T, Lu W, Zhen X, Guan W, Zheng F. Knowledge-Aware Prompt Tuning for Generalizable Vision-Language Models. ICCV 2023. arXiv:2308.11186"),
    "xval": Reference(about="continuous numbers in text",
        citation="Golkar S, Pettee M, Eickenberg M, et al. xVal: A Continuous Number Encoding for Large Language Models. 2023. arXiv:2310.02989"),
    "decap": Reference(about="features decoded into words",
        citation="Li W, Zhu L, Wen L, Yang Y. DeCap: Decoding CLIP Latents for Zero-Shot Captioning via Text-Only Training. ICLR 2023. arXiv:2303.03032"),
    "focal": Reference(about="the focal loss",
        citation="Lin TY, Goyal P, Girshick R, He K, Dollár P. Focal Loss for Dense Object Detection. ICCV 2017. arXiv:1708.02002"),
    "adamw": Reference(about="AdamW",
        citation="Loshchilov I, Hutter F. Decoupled Weight Decay Regularization. ICLR 2019. arXiv:1711.05101"),
    "optuna": Reference(about="the search",
        citation="Akiba T, Sano S, Yanase T, Ohta T, Koyama M. Optuna: A Next-generation Hyperparameter Optimization Framework. KDD 2019. arXiv:1907.10902"),
    "tpe": Reference(about="the sampler TPE",
        citation="Bergstra J, Bardenet R, Bengio Y, Kégl B. Algorithms for Hyper-Parameter Optimization. NIPS 2011"),
    "ray": Reference(about="workers",
        citation="Moritz P, Nishihara R, Wang S, et al. Ray: A Distributed Framework for Emerging AI Applications. OSDI 2018. arXiv:1712.05889"),
    "tune": Reference(about="trials side by side",
        citation="Liaw R, Liang E, Nishihara R, Moritz P, Gonzalez JE, Stoica I. Tune: A Research Platform for Distributed Model Selection and Training. 2018. arXiv:1807.05118"),
    "wilcoxon": Reference(about="the test that stops a trial",
        citation="Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bulletin 1945;1:80-83"),
    "one_se": Reference(about="the choice within one standard error",
        citation="Breiman L, Friedman JH, Olshen RA, Stone CJ. Classification and Regression Trees. Wadsworth 1984"),
    "fanova": Reference(about="which settings mattered",
        citation="Hutter F, Hoos H, Leyton-Brown K. An Efficient Approach for Assessing Hyperparameter Importance. ICML 2014"),
    "nested": Reference(about="nested cross-validation",
        citation="Varma S, Simon R. Bias in error estimation when using cross-validation for model selection. BMC Bioinformatics 2006;7:91. doi:10.1186/1471-2105-7-91"),
    "permutations": Reference(about="the search on permuted labels",
        citation="Ojala M, Garriga GC. Permutation Tests for Studying Classifier Performance. Journal of Machine Learning Research 2010;11:1833-1863"),
    "bootstrap": Reference(about="intervals of the scores",
        citation="Hesterberg TC. What teachers should know about the bootstrap: resampling in the undergraduate statistics curriculum. The American Statistician 2015;69:371-386. doi:10.1080/00031305.2015.1089789"),
    "wilson": Reference(about="intervals of shares",
        citation="Wilson EB. Probable inference, the law of succession, and statistical inference. Journal of the American Statistical Association 1927;22:209-212. doi:10.1080/01621459.1927.10502953"),
    "kappa": Reference(about="weighted kappa",
        citation="Cohen J. Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit. Psychological Bulletin 1968;70:213-220. doi:10.1037/h0026256"),
    "nadeau_bengio": Reference(about="the test over folds",
        citation="Nadeau C, Bengio Y. Inference for the generalization error. Machine Learning 2003;52:239-281. doi:10.1023/A:1024068626366"),
    "holm": Reference(about="the correction for several comparisons",
        citation="Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 1979;6:65-70"),
    "calibration": Reference(about="calibration",
        citation="Guo C, Pleiss G, Sun Y, Weinberger KQ. On Calibration of Modern Neural Networks. ICML 2017. arXiv:1706.04599"),
    "brier": Reference(about="the Brier score",
        citation="Brier GW. Verification of forecasts expressed in terms of probability. Monthly Weather Review 1950;78:1-3"),
    "sets": Reference(about="prediction sets",
        citation="Vovk V, Gammerman A, Shafer G. Algorithmic Learning in a Random World. Springer 2005"),
    "sets_of_people": Reference(about="prediction sets where a person has several videos",
        citation="Lee Y, Barber RF, Willett R. Distribution-free inference with hierarchical data. 2023. arXiv:2306.06342"),
    "decisions": Reference(about="the decision curve",
        citation="Vickers AJ, Elkin EB. Decision curve analysis: a novel method for evaluating prediction models. Medical Decision Making 2006;26:565-574. doi:10.1177/0272989X06295361"),
    "umap": Reference(about="the maps by UMAP",
        citation="McInnes L, Healy J, Melville J. UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction. 2018. arXiv:1802.03426"),
    "updrs": Reference(about="the gait score",
        citation="Goetz CG, Tilley BC, Shaftman SR, et al. Movement Disorder Society-sponsored revision of the Unified Parkinson's Disease Rating Scale (MDS-UPDRS): scale presentation and clinimetric testing results. Movement Disorders 2008;23:2129-2170. doi:10.1002/mds.22340"),
    "lewy_bodies": Reference(about="dementia with Lewy bodies",
        citation="McKeith IG, Boeve BF, Dickson DW, et al. Diagnosis and management of dementia with Lewy bodies: Fourth consensus report of the DLB Consortium. Neurology 2017;89:88-100. doi:10.1212/WNL.0000000000004058"),
    "tripod": Reference(about="the checklist",
        citation="Collins GS, Moons KGM, Dhiman P, et al. TRIPOD+AI statement: updated guidance for reporting clinical prediction models that use regression or machine learning methods. BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378"),
    "probast": Reference(about="the topics of quality and risk of bias",
        citation="Moons KGM, Damen JAA, Kaul T, et al. PROBAST+AI: an updated quality, risk of bias, and applicability assessment tool for prediction models using regression or artificial intelligence methods. BMJ 2025;388:e082505. doi:10.1136/bmj-2024-082505"),
}  # fmt: skip


def references(analysis: Analysis) -> tuple[Reference, ...]:
    """Returns the publications that this study rests on: of what its configuration and its options left off, none."""
    used = _cited_for_model(_configuration(analysis)) | _cited_for_study(analysis)
    return tuple(reference for name, reference in LITERATURE.items() if used.get(name))


def _cited_for_model(c: dict[str, Any]) -> dict[str, bool]:
    if not c:
        return {}
    knows, trained = c["model"] == METHOD, KINDS[c["model"]].trained
    return {
        "method": knows,
        "extension": knows,
        "clip": c["model"] not in FROM_NUMBERS,
        "vita_clip": trained and bool(c["video.n_global"] or c["video.local"] or c["video.summary"]),
        "coop": trained and c["text.n_ctx"] > 0,
        "kapt": knows and c["text.knowledge"],
        "xval": knows and c["numeracy.enabled"] and c["numeracy.encoding"] == "continuous",
        "decap": knows and c["numeracy.enabled"] and c["decoder.enabled"],
        "focal": trained and c["optimizer.focal_gamma"] > 0,
        "adamw": trained,
    }


def _cited_for_study(analysis: Analysis) -> dict[str, bool]:
    found, options = analysis.results, analysis.study.options
    searched = dict.fromkeys(("optuna", "ray", "tune"), bool(analysis.leaderboard))
    nested = analysis.nested.comparisons if analysis.nested else ()
    compared = bool(nested or (found and found.comparisons))
    calibrated = found is not None and found.calibration is not None
    sources = " ".join(source for c in analysis.words.classes for source in c.sources)
    return searched | {
        "tpe": bool(analysis.leaderboard) and options.get("sampler") == "tpe",
        "wilcoxon": bool(options.get("prune")) and not options.get("cost") and options.get("choose") != "one_se",
        "one_se": options.get("choose") == "one_se",
        "fanova": bool(analysis.search.importance),
        "nested": _nested(analysis),
        "permutations": found is not None and found.null is not None,
        "bootstrap": found is not None,
        "wilson": found is not None,
        "kappa": found is not None and any(s.metric == "quadratic_kappa" for s in found.levels[0].scores),
        "calibration": calibrated,
        "brier": calibrated,
        **dict.fromkeys(("sets", "sets_of_people"), analysis.sets is not None and bool(analysis.sets.measured)),
        "decisions": analysis.decisions is not None,
        "umap": found is not None and found.maps is not None and any(p.method == "UMAP" for p in found.maps.planes),
        "nadeau_bengio": compared,
        "holm": compared,
        "updrs": "MDS-UPDRS" in f"{analysis.study.task.get('title')} {sources}",
        "lewy_bodies": "McKeith" in sources and "Neurology 2017" in sources,
        "tripod": True,
        "probast": True,
    }
