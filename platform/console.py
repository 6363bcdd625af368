"""What the terminal shows: a live view on a terminal, plain lines elsewhere. The only file that imports rich."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from platform.watching import about, bar_line, every, in_training, in_words
from typing import TYPE_CHECKING, Any

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reports.wording import BASELINES, setting
from trainables.errors import StridefoldError
from trainables.study.progress import FoldProgress

if TYPE_CHECKING:
    from trainables.study.leaderboard import TrialRecord

LOOK = 1.0
"""Seconds between two looks at the folds in training."""
QUIET = 30.0
"""Seconds after a plain line about a trial or fold before its progress is worth another."""
MIN_FOLDS_FOR_TIME_LEFT = 0.1
"""Folds done in this session from which the time left is worth telling."""


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
    folders: dict[int, tuple[Path, ...]] = field(default_factory=dict)
    """Of each running trial's folds."""
    progress: dict[int, tuple[int, FoldProgress]] = field(default_factory=dict)
    """Of each running trial the fold in training, counted from 0, and how far it is."""
    said: dict[int, float] = field(default_factory=dict)
    """When the last line about each running trial was printed."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever changes or shows the view: the search's thread with its events, and the one that looks."""
    best: tuple[float, float, int, str] | None = None
    """Score, negative log loss, which decides ties, trial and settings of the best so far."""
    started: float = field(default_factory=time.monotonic)

    def left(self) -> str:
        """Returns the time left as 'about 3 min left', from the folds and the parts of folds done in this session."""
        whole = self.trials * self.folds
        parts = sum(p.share for trial, (fold, p) in self.progress.items() if fold == self.running.get(trial))
        done = self.finished * self.folds + sum(self.running.values()) + parts
        fresh = done - self.done_before - self.saved
        if fresh < MIN_FOLDS_FOR_TIME_LEFT:
            return ""
        return f"{about((time.monotonic() - self.started) / fresh * (whole - done))} left"

    def look(self) -> None:
        """Reads how far the folds in training are; the files are read without the lock, so that events need not wait."""
        with self.lock:
            running = [(trial, self.folders.get(trial, ()), done) for trial, done in self.running.items()]
        found = {trial: p for trial, folders, done in running if (p := in_training(folders, done)) is not None}
        with self.lock:
            self.progress = {trial: p for trial, p in found.items() if p[0] >= self.running.get(trial, self.folds)}

    def forget(self, trial: int) -> None:
        """Drops a trial that has ended."""
        self.running.pop(trial, None)
        self.folders.pop(trial, None)
        self.progress.pop(trial, None)
        self.said.pop(trial, None)

    def news(self) -> Iterator[tuple[int, int, FoldProgress]]:
        """Yields trial, fold and progress of the trials about which no line was printed for a while."""
        for trial, (fold, progress) in sorted(self.progress.items()):
            if (now := time.monotonic()) - self.said.get(trial, 0.0) >= QUIET:
                self.said[trial] = now
                yield trial, fold, progress


class Console:
    """Prints for people: short lines, no identifiers beyond what the user gave."""

    def __init__(self, plain: bool = False, quiet: bool = False):
        """Takes whether a terminal gets plain lines too, and whether nothing is printed at all."""
        self.rich = RichConsole(highlight=False, soft_wrap=True, quiet=quiet)
        self.errors = RichConsole(stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self.live = not (plain or quiet) and self.rich.is_terminal and not self.rich.is_dumb_terminal

    def say(self, text: str) -> None:
        """Prints one line as it is."""
        self.rich.print(Text(text))

    def error(self, error: BaseException) -> None:
        """Prints what went wrong, once, and the code that docs/errors.md lists."""
        coded = isinstance(error, StridefoldError) and error.code
        end = Text(f" [{coded}]", style="dim") if coded else Text("")
        self.errors.print(Text("error: ", style="bold red") + Text(str(error)) + end)

    def table(self, header: list[str], rows: list[list[str]]) -> None:
        """Prints rows under a header; on a terminal its cells wrap, elsewhere lines are as long as they need to be."""
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for name in header:
            table.add_column(Text(name))
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        wide = RichConsole(highlight=False, width=None if self.rich.is_terminal else 10_000, quiet=self.rich.quiet)
        wide.print(table)

    @contextmanager
    def bar(self, what: str) -> Iterator[Any]:
        """Yields a function of (done, total) that shows how far `what` is on a terminal, as a bar that is wiped at the end."""
        started = time.monotonic()
        if not self.live:
            yield lambda done, total: None
            return
        # A live view is wiped when it ends, however long its line was and whatever ended it.
        with Live(console=self.rich, refresh_per_second=4, transient=True) as live:
            utf = self.rich.encoding.startswith("utf")

            def show(done: int, total: int) -> None:
                live.update(Text(bar_line(what, done, total, time.monotonic() - started, "■□" if utf else "#.")))

            yield show

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Any]:
        """Yields a function of the number done that shows how far `what` is, and says at the end how long it took."""
        started = time.monotonic()
        with self.bar(what) as show:
            yield lambda done: show(done, total)
        self.say(f"{what}: {total} in {time.monotonic() - started:.0f} s")

    @contextmanager
    def ingest(self) -> Iterator[Any]:
        """Yields a function of (done, total) that shows how far decoding is, and says at the end how long it took."""
        started = time.monotonic()
        totals = [0]

        with self.bar("decoding videos") as show:

            def on_video(done: int, total: int) -> None:
                totals.append(total)
                show(done, total)

            yield on_video
        if totals[-1]:
            self.say(f"decoded {totals[-1]} videos in {time.monotonic() - started:.0f} s")

    @contextmanager
    def trials(self, trials: int, folds: int, finished: int, what: str = "search") -> Iterator[Any]:
        """Yields a function that takes the tuner's events and shows them."""
        view = TrialsView(trials=trials, folds=folds, finished=finished, done_before=finished * folds)
        if not self.live:
            with every(LOOK, lambda: self._progress_lines(view, what)):
                yield lambda event: self._line(view, event, what)
            return
        with Live(console=self.rich, refresh_per_second=4, transient=True) as live:

            def show(event: Any) -> None:
                self._line(view, event, what, quiet=("started", "fold"))
                live.update(self._picture(view, what))

            def look() -> None:
                view.look()
                live.update(self._picture(view, what))

            live.update(self._picture(view, what))
            with every(LOOK, look):
                yield show

    @contextmanager
    def folds(self, what: str, folders: Sequence[Path]) -> Iterator[None]:
        """Shows how far folds are that are trained beside a search, as those of a baseline.

        Args:
            what: as 'baseline vita_clip'.
            folders: of the folds.
        """
        view = TrialsView(trials=len(folders), folds=1)
        view.running, view.folders = dict.fromkeys(range(len(folders)), 0), {i: (f,) for i, f in enumerate(folders)}
        view.said = dict.fromkeys(view.running, view.started)

        def lines() -> None:
            view.look()
            for fold, _, progress in view.news():
                self.say(f"{what}: fold {fold + 1} of {len(folders)}, {in_words(progress)}")

        if not self.live:
            with every(LOOK, lines):
                yield
            return
        with Live(console=self.rich, refresh_per_second=4, transient=True) as live:

            def look() -> None:
                view.look()
                rows = [f"{what}, fold {fold + 1}: {in_words(p)}" for fold, (_, p) in sorted(view.progress.items())]
                live.update(Text("\n".join(rows)))

            with every(LOOK, look):
                yield

    def _progress_lines(self, view: TrialsView, what: str) -> None:
        """Prints how far each trial's fold in training is, where its last line was a while ago."""
        view.look()
        with view.lock:
            left = f" (all trials: {view.left()})" if view.left() else ""
            for trial, fold, progress in view.news():
                self.say(f"{what}, trial {trial}: fold {fold + 1} of {view.folds}, {in_words(progress)}{left}")

    def _line(self, view: TrialsView, event: Any, what: str, quiet: tuple[str, ...] = ()) -> None:
        """Takes an event into the view and prints it, unless its kind is quiet."""
        with view.lock:
            self._take(view, event, what, quiet)

    def _take(self, view: TrialsView, event: Any, what: str, quiet: tuple[str, ...]) -> None:
        view.said[event.trial] = time.monotonic()
        name = f"{what}, trial {event.trial}"
        text = ""
        if event.what == "started":
            view.running[event.trial], view.folders[event.trial] = 0, event.folders
            text = f"{name} started: {settings(event.params)}"
        elif event.what == "fold":
            view.running[event.trial] = event.fold
            text = f"{name}: fold {event.fold} of {view.folds} done"
            text += f" ({view.left()})" if view.left() else ""
        else:
            view.saved += view.folds - event.fold if event.what == "pruned" else 0
            view.forget(event.trial)
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
        with view.lock:
            running, progress, left = dict(view.running), dict(view.progress), view.left()
        for trial, folds in sorted(running.items()):
            bar = "■" * folds + "□" * (view.folds - folds)
            now = f"fold {progress[trial][0] + 1}: {in_words(progress[trial][1])}" if trial in progress else "starting"
            done = f"{folds} of {view.folds} folds"
            table.add_row(Text(f"trial {trial}"), Text(bar, style="cyan"), Text(done), Text(now))
        best = f"best so far {view.best[0]:.3f}: {view.best[3]}" if view.best else "no score yet"
        head = f"{what}: {view.finished} of {view.trials} trials done   {left}"
        return Group(Text(head, style="bold"), table, Text(best))

    def outcome(self, trial: "TrialRecord", metric: str, results: dict[str, Any]) -> None:
        """Prints the chosen configuration and its scores.

        Args:
            metric: by which the search chose.
            results: the contents of results.json.
        """
        chosen = results["chosen"]
        subjects = chosen["levels"][0]
        self.say("")
        self.say(f"chosen: trial {trial.number} with {settings(trial.params)}")
        scores = ", ".join(f"{s['metric'].replace('_', ' ')} {s['value']:.3f}" for s in subjects["scores"])
        self.say(f"  held-out {subjects['level']}s: {scores}")
        self.say(f"  these are selection scores: the search chose by {metric} on the same subjects")
        chance = next(s["chance"] for s in subjects["scores"] if s["metric"] == "balanced_accuracy")
        self.say(f"  chance: balanced accuracy {chance:.3f}")
        for c in chosen["comparisons"]:
            self.say(
                f"  vs. {BASELINES.get(c['other'], c['other'])}: {c['value']:.3f} - {c['other_value']:.3f} = {c['difference']:+.3f} "
                f"(these methods: {'too few folds to say' if c['folds_adjusted'] is None else 'p = {:.2f}'.format(c['folds_adjusted'])}; "
                f"these trained models: {c['low']:+.3f} to {c['high']:+.3f}, p = {c['adjusted']:.2f}; Holm)"
            )
        if (c := chosen["shuffled"]) is not None:
            order = c["order"]
            self.say(
                f"  frames in random order change {c['windows_changed']} of {c['windows']} window answers; order in time is worth "
                f"{order['difference']:+.3f} ({order['value']:.3f} - {order['other_value']:.3f})"
            )
        if (nested := results["nested"]) is not None and nested["estimate"] is not None:
            score = nested["estimate"]
            self.say(
                f"  nested estimate, subjects that no search saw: {metric} {score['value']:.3f} "
                f"({score['low']:.3f} to {score['high']:.3f}){_optimism(nested)}"
            )
        if (null := chosen["permutation_null"]) is not None:
            values = ", ".join(f"{value:.3f}" for value in null["values"])
            p = null["p_value"]
            worth = (
                "no p: they were shorter searches" if p is None else f"p = {p:.2f}, at least {null['smallest_p']:.2f}"
            )
            self.say(f"  the same search on permuted labels: {metric} {values} ({worth})")
        for warning in results["warnings"]:
            self.say(f"  warning: {warning['sentence']}")


def _optimism(nested: dict[str, Any]) -> str:
    """Returns how optimistic the inner searches were, with its interval; nothing where that is not known."""
    if nested["optimism"] is None:
        return ""
    span = f"{nested['optimism_low']:+.3f} to {nested['optimism_high']:+.3f}"
    return f"; optimism of the inner searches {nested['optimism']:+.3f} ({span})"


def settings(params: dict[str, Any]) -> str:
    """Returns drawn settings as 'learning rate 0.00025, motion read-out statistics'."""
    parts = [f"{setting(k).partition(' (')[0]} {f'{v:.3g}' if isinstance(v, float) else v}" for k, v in params.items()]
    return ", ".join(parts) or "the reference settings"
