"""Writes tasks and gait parameters as the TOML files that `load_task` and `load_parameters` read."""

import json
from collections.abc import Iterable, Mapping

from trainables.knowledge.tasks import Task
from trainables.study.records import Parameter


def task_toml(task: Task) -> str:
    """Returns a task file with everything that the task says."""
    head = {
        "name": task.name,
        "title": task.title,
        "label": task.label,
        "ordinal": task.ordinal,
        "healthy": task.healthy,
    }
    lines = _entries(head)
    for one in task.classes:
        lines += ["", "[[class]]", *_entries({"value": one.value, "name": one.name})]
        for d in one.descriptions:
            about = {"keywords": d.keywords, "notion": d.notion, "sources": d.sources}
            lines += ["", "[[class.description]]", *_entries(about)]
    return "\n".join(lines) + "\n"


def parameters_toml(parameters: Iterable[Parameter]) -> str:
    """Returns a parameter file; a parameter whose mirror is not among them has none."""
    listed = list(parameters)
    keys = {p.key for p in listed}
    lines: list[str] = [] if listed else ["parameter = []"]
    for p in listed:
        about = {"key": p.key, "name": p.name, "unit": p.unit, "leg_scaled": p.leg_scaled, "side": p.side,
                 "mirror": p.mirror if p.mirror in keys else None,
                 "source": None if p.source == "instrument" else p.source}  # fmt: skip
        lines += ["[[parameter]]", *_entries(about), ""]
    return "\n".join(lines).rstrip() + "\n"


def _entries(values: Mapping[str, object]) -> list[str]:
    """Returns one line for each value that is there; text, truth and lists of text are written in TOML as in JSON."""
    return [f"{name} = {_written(value)}" for name, value in values.items() if value is not None]


def _written(value: object) -> str:
    # JSON leaves DEL as it is, which TOML does not allow.
    return json.dumps(value, ensure_ascii=False, default=list).replace("\x7f", "\\u007f")
