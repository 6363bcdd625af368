"""Plain words for metrics, states and settings."""

import tomllib
from pathlib import Path
from typing import Any

_TABLES: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
METRICS = _TABLES["metrics"]
EXPLAINED = _TABLES["explained"]
STATES = _TABLES["states"]
MODELS = _TABLES["models"]
EXPLAINED_BASELINES = _TABLES["explained_baselines"]
BASELINES = _TABLES["baselines"]
KNOWLEDGE_SOURCES = _TABLES["knowledge_sources"]
SETTINGS = _TABLES["settings"]
LOSSES = _TABLES["losses"]
PARAMETER_GROUPS = _TABLES["parameter_groups"]


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
