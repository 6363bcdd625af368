"""plan.json: what a study set out to do, written before its first training and never again. No torch and no Ray here."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from trainables.errors import LeakageError
from trainables.study.files import digest
from trainables.study.formats import build, read_record, write_record

NAME = "plan.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyPlan:
    """The analysis as it was planned; a study of before has none."""

    written: str
    """ISO 8601, UTC."""
    metric: str
    """The primary one, as 'subject/macro_f1'."""
    comparisons: tuple[str, ...]
    """Baselines that the chosen configuration is compared with."""
    trials: int
    """Configurations after which the search stops."""
    prune: float
    """p-value below which a trial is stopped; 0 stops none."""
    choose: str
    refit: str
    outer_folds: int
    permutations: int
    permutation_trials: int | None
    cohort_sha256: str
    splits_sha256: str

    def sha256(self) -> str:
        """Returns the hash of the plan, its time among it."""
        return digest(dataclasses.asdict(self))

    def save(self, folder: Path) -> None:
        """Writes plan.json, unless there is one: a plan is not made twice."""
        if not (folder / NAME).exists():
            write_record(folder / NAME, dataclasses.asdict(self) | {"sha256": self.sha256()})

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Reads what `save` wrote; None for a study that has no plan.

        Raises:
            LeakageError: The file was changed by hand.
        """
        path = folder / NAME
        if not path.exists():
            return None
        record = read_record(path)
        plan = build(cls, record, path)
        if plan.sha256() != record.get("sha256"):
            raise LeakageError(
                f"{path} does not match its own hash: it was changed after the study began; restore it",
                code="leakage.plan_changed",
            )
        return plan

    def changes(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns what a study's options say now in place of what was planned, as 'trials 20 instead of 8'."""
        now = dict(options) | {"comparisons": options.get("baselines")}
        names = ("comparisons", "trials", "refit", "outer_folds", "permutations", "permutation_trials")
        planned = {name: getattr(self, name) for name in names}
        return tuple(
            f"{name.replace('_', ' ')} {_shown(now[name])} instead of {_shown(planned[name])}"
            for name in names
            if now.get(name) is not None and _shown(now[name]) != _shown(planned[name])
        )


def _shown(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, list | tuple) else str(value)
