"""The task file: what the classes of a label are called, and what medicine says about each."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import ConfigurationError

FOLDER = Path(__file__).parent
HEALTHY_WORDS = re.compile(r"\b(healthy|normal|controls?|unimpaired|no)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """One clinical description of a class."""

    notion: str = ""
    """A paragraph of 100-230 words that the knowledge encoder reads whole; '' where nothing was written."""
    keywords: tuple[str, ...] = ()
    """Short clinical phrases that stand in the prompt before the class name."""
    sources: tuple[str, ...] = ()
    """A reference for each fact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassKnowledge:
    """One class of a task."""

    value: str
    """The cell of the label column."""
    name: str
    """The class in words."""
    descriptions: tuple[Description, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """What is predicted."""

    name: str
    title: str
    label: str
    """Column of the manifest."""
    ordinal: bool
    healthy: str | None
    """Value of the healthy class, on whose training subjects the numbers are centred; None centres on all."""
    classes: tuple[ClassKnowledge, ...]

    def value_index(self) -> dict[str, int]:
        """Returns {cell of the label column: class index}."""
        return {c.value: i for i, c in enumerate(self.classes)}

    def notions(self) -> list[str]:
        """Returns the notion of every description in order of the classes; [] where no class has one."""
        notions = [d.notion for c in self.classes for d in c.descriptions]
        return notions if any(notions) else []

    def knows(self) -> bool:
        """Returns whether anything is said of the classes beside their names."""
        return bool(self.notions()) or any(d.keywords for c in self.classes for d in c.descriptions)


def load_task(name_or_path: str) -> Task:
    """Returns a shipped task by name ('diagnosis', 'updrs', ...) or a user's own TOML file.

    Raises:
        ConfigurationError: No such task, no TOML, or an entry is missing or wrong.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = FOLDER / f"{name_or_path}.toml"
        if name_or_path not in shipped_tasks():
            raise ConfigurationError(
                f"--task {name_or_path} is not known; use one of {', '.join(shipped_tasks())}, or the path of a .toml file",
                code="task.unknown",
            )
    try:
        return _parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigurationError(
            f"the task file {path} cannot be read ({error.strerror})", code="task.unreadable"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the task file {path} is not valid TOML: {error}", code="task.not_toml") from None
    except KeyError as error:
        raise ConfigurationError(
            f"the task file {path} lacks {error}; see trainables/knowledge/diagnosis.toml for one that is whole",
            code="task.incomplete",
        ) from None
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the task file {path} is wrong: {error}", code="task.invalid") from None


def task_from_dict(raw: dict) -> Task:
    """Returns the task whose `dataclasses.asdict` is `raw`, as a study's record keeps it."""
    classes = tuple(
        ClassKnowledge(
            value=c["value"],
            name=c["name"],
            descriptions=tuple(
                Description(notion=d["notion"], keywords=tuple(d["keywords"]), sources=tuple(d["sources"]))
                for d in c["descriptions"]
            ),
        )
        for c in raw["classes"]
    )
    return Task(**{**raw, "classes": classes})


def shipped_tasks() -> tuple[str, ...]:
    """Returns the names that `load_task` knows."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.toml") if not p.stem.endswith("_parameters")))


def task_for(label: str, values: list[str]) -> Task:
    """Returns the shipped task whose label column and classes are the given ones, or else a plain task without knowledge.

    A plain task has the values as class names, in sorted order, and is ordinal where all values are whole numbers.
    """
    for name in shipped_tasks():
        task = load_task(name)
        if task.label == label and set(values) <= set(task.value_index()):
            return task
    return plain_task(label, values)


def plain_task(label: str, values: list[str]) -> Task:
    """Returns a task made from nothing but a label column: its values are the class names, of which nothing is known."""
    whole_numbers = all(re.fullmatch(r"[+-]?\d+", value) for value in values)
    words = re.sub(r"[_\W]+", " ", label).strip().lower() or label
    classes = tuple(
        ClassKnowledge(
            value=v,
            name=f"{words} {v}" if whole_numbers else v,
            descriptions=(Description(),),
        )
        for v in sorted(values, key=int if whole_numbers else None)
    )
    healthy = [v for v in values if HEALTHY_WORDS.search(v)]
    return Task(
        name=label,
        title=words,
        label=label,
        ordinal=whole_numbers,
        classes=classes,
        healthy=healthy[0] if len(healthy) == 1 else None,
    )


def _parse(raw: dict) -> Task:
    classes = tuple(
        ClassKnowledge(
            value=str(c["value"]),
            name=c["name"],
            descriptions=tuple(
                Description(
                    notion=" ".join(d.get("notion", "").split()),
                    keywords=tuple(d.get("keywords", ())),
                    sources=tuple(d.get("sources", ())),
                )
                for d in c["description"]
            ),
        )
        for c in raw["class"]
    )
    values = [c.value for c in classes]
    if len(values) < 2 or len(set(values)) < len(values):
        raise ValueError(f"it needs at least two classes with different values, but has {values}")
    if empty := [c.value for c in classes if not c.descriptions or not c.name.strip()]:
        raise ValueError(f"class {empty[0]!r} needs a name and at least one [[class.description]]")
    silent = [c.value for c in classes if not all(d.notion for d in c.descriptions)]
    if silent and any(d.notion for c in classes for d in c.descriptions):
        raise ValueError(
            f"class {silent[0]!r} has a description without a notion, but other classes have theirs; "
            "write one for each, or for none"
        )
    healthy = None if raw.get("healthy") is None else str(raw["healthy"])
    if healthy is not None and healthy not in values:
        raise ValueError(f"healthy is {healthy!r}, but the classes are {values}")
    return Task(
        name=raw["name"],
        title=raw["title"],
        label=raw["label"],
        ordinal=bool(raw["ordinal"]),
        healthy=healthy,
        classes=classes,
    )
