"""What the terminal shows: a live view on a terminal, plain lines elsewhere. The only file that imports rich."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from trainables.leaderboard import TrialRecord


@dataclass
class TrialsView:
    """What the live view knows of a running search."""

    trials: int
    folds: int
    finished: int = 0
    reused: int = 0
    done_before: int = 0
    """Folds of this search's trials that were finished before it began."""
    saved: int = 0
    """Folds that were not run because their trials were stopped."""
    running: dict[int, int] = field(default_factory=dict)
    """Finished folds of each running trial."""
    best: tuple[float, float, int, str] | None = None
    """Score, negative log loss, which decides ties, trial and settings of the best so far."""
    started: float = field(default_factory=time.monotonic)

    def left(self) -> str:
        """Returns the time left as 'about 3 min left', from the folds done in this session."""
        whole = self.trials * self.folds
        done = self.finished * self.folds + sum(self.running.values())
        fresh = done - self.done_before - self.saved
        if fresh <= 0:
            return ""
        seconds = (time.monotonic() - self.started) / fresh * (whole - done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {seconds:.0f} s left"


class Console:
    """Prints for people: short lines, no identifiers beyond what the user gave."""

    def __init__(self, plain: bool = False):
        self.rich = RichConsole(highlight=False, soft_wrap=True)
        self.errors = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self.live = not plain and self.rich.is_terminal

    def say(self, text: str) -> None:
        """Prints one line as it is."""
        self.rich.print(Text(text))

    def error(self, error: BaseException) -> None:
        """Prints what went wrong, once."""
        self.errors.print(Text("error: ", style="bold red") + Text(str(error)))

    def table(self, header: list[str], rows: list[list[str]]) -> None:
        """Prints rows under a header; on a terminal its cells wrap, elsewhere lines are as long as they need to be."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in header:
            table.add_column(Text(name))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        wide = RichConsole(highlight=False, width=None if self.rich.is_terminal else 10_000)
        wide.print(table)

    @contextmanager
    def ingest(self) -> Iterator[Any]:
        """Yields a function of (done, total) that shows how far decoding is."""
        started = time.monotonic()
        total_seen = 0
        # A live view of one line: it is wiped when it ends, however long the line was and whatever ended it.
        view = Live(console=self.rich, refresh_per_second=4, transient=True) if self.live else None

        def on_video(done: int, total: int) -> None:
            nonlocal total_seen
            total_seen = total
            if view is not None:
                view.update(Text(f"decoding videos: {done} of {total}"))

        with view or nullcontext():
            yield on_video
        if total_seen:
            self.say(f"decoded {total_seen} videos in {time.monotonic() - started:.0f} s")

    @contextmanager
    def trials(self, trials: int, folds: int, finished: int, what: str = "search") -> Iterator[Any]:
        """Yields a function that takes the tuner's events and shows them."""
        view = TrialsView(trials=trials, folds=folds, finished=finished, done_before=finished * folds)
        if not self.live:
            yield lambda event: self._line(view, event, what)
            return
        with Live(console=self.rich, refresh_per_second=4, transient=True) as live:

            def show(event: Any) -> None:
                self._line(view, event, what, quiet=("started", "fold"))
                live.update(self._picture(view, what))

            live.update(self._picture(view, what))
            yield show

    def _line(self, view: TrialsView, event: Any, what: str, quiet: tuple[str, ...] = ()) -> None:
        """Takes an event into the view and prints it, unless its kind is quiet."""
        name = f"{what}, trial {event.trial}"
        text = ""
        if event.what == "started":
            view.running[event.trial] = 0
            text = f"{name} started: {settings(event.params)}"
        elif event.what == "fold":
            view.running[event.trial] = event.fold
            text = f"{name}: fold {event.fold} of {view.folds} done"
            text += f" ({view.left()})" if view.left() else ""
        else:
            view.saved += view.folds - event.fold if event.what == "pruned" else 0
            view.running.pop(event.trial, None)
            view.finished += 1
            if event.what == "failed":
                text = f"{name} failed: {event.problem}"
            elif event.what == "pruned":
                text = f"{name} stopped after fold {event.fold} of {view.folds}: {event.problem}"
            else:
                if view.best is None or (event.score, -event.log_loss) > view.best[:2]:
                    view.best = (event.score, -event.log_loss, event.trial, settings(event.params))
                text = f"{name}: {event.score:.3f} with {settings(event.params)}; best {view.best[0]:.3f} (trial {view.best[2]})"
        if event.what not in quiet:
            self.say(text)

    def _picture(self, view: TrialsView, what: str) -> Group:
        table = Table.grid(padding=(0, 2))
        for trial, folds in sorted(view.running.items()):
            bar = "■" * folds + "□" * (view.folds - folds)
            table.add_row(Text(f"trial {trial}"), Text(bar, style="cyan"), Text(f"{folds} of {view.folds} folds"))
        best = f"best so far {view.best[0]:.3f}: {view.best[3]}" if view.best else "no score yet"
        head = f"{what}: {view.finished} of {view.trials} trials done   {view.left()}"
        return Group(Text(head, style="bold"), table, Text(best))

    def outcome(self, trial: "TrialRecord", metric: str, results: dict[str, Any]) -> None:
        """Prints the chosen configuration and its scores.

        Args:
            metric: by which the search chose.
            results: the contents of results.json.
        """
        chosen = results["chosen"]
        subjects = next(level for level in chosen["levels"] if level["level"] == "subject")
        self.say("")
        self.say(f"chosen: trial {trial.number} with {settings(trial.params)}")
        scores = ", ".join(f"{s['metric'].replace('_', ' ')} {s['value']:.3f}" for s in subjects["scores"])
        self.say(f"  held-out subjects: {scores}")
        self.say(f"  these are selection scores: the search chose by {metric} on the same subjects")
        chance = next(s["chance"] for s in subjects["scores"] if s["metric"] == "balanced_accuracy")
        self.say(f"  chance: balanced accuracy {chance:.3f}")
        for c in chosen["comparisons"]:
            self.say(
                f"  beside {c['other']}: {c['value']:.3f} - {c['other_value']:.3f} = {c['difference']:+.3f} "
                f"({c['low']:+.3f} to {c['high']:+.3f}; p = {c['adjusted']:.2f}, subjects permuted, Holm)"
            )
        if (nested := results["nested"]) is not None and nested["estimate"] is not None:
            score = nested["estimate"]
            self.say(
                f"  nested estimate, subjects that no search saw: {metric} {score['value']:.3f} "
                f"({score['low']:.3f} to {score['high']:.3f}); the inner searches were optimistic by {nested['optimism']:.3f}"
            )
        if (null := chosen["permutation_null"]) is not None:
            values = ", ".join(f"{value:.3f}" for value in null["values"])
            self.say(f"  the same search on exchanged labels: {metric} {values} (p = {null['p_value']:.2f})")


def settings(params: dict[str, Any]) -> str:
    """Returns drawn settings as 'prompt length 8, numeric weight 0.1'."""
    names = {"text.n_ctx": "prompt length", "numeracy.weight": "numeric weight"}
    parts = [
        f"{names.get(k, k)} {v:.3g}" if isinstance(v, float) else f"{names.get(k, k)} {v}" for k, v in params.items()
    ]
    return ", ".join(parts) or "the reference settings"
