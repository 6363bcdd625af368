"""Searches that lose machines: workers in mid-fold one after the other, then the head."""

import time
from pathlib import Path

from tests.cluster.hosts import Hosts, until
from tests.cluster.ray_cluster import PATIENCE, RAY, WORKERS, bring_up, raylet, say
from trainables.study.records import FoldResult
from trainables.training.checkpoint import load_checkpoint

SEARCH = (
    "python -m platform.search --address auto --plain --cohort /shared/cohort/cohort.csv --backbone /shared/clip "
    "--studies /shared/studies --folds 2 --frames 2 --prune 0 --set decoder.width=32 --set decoder.layers=1 --set decoder.steps=20 --set optimizer.batch_size=2"
)
EPOCHS = 2500
"""Of the search that loses its head: a fold takes longer than its workers need to notice, a minute."""


def search_and_lose_hosts(hosts: Hosts) -> None:
    """Runs a search whose workers sit on two hosts; one is lost in mid-fold and joins again, then another is lost."""
    started = time.monotonic()
    search = Search(hosts, "first", "--trials 4 --workers 2 --epochs 24")
    until(lambda: search.finished_folds() >= 1, PATIENCE)
    first = search.lose(of=WORKERS)
    began = time.monotonic()
    hosts.start(first)
    until(lambda: raylet(hosts, first), PATIENCE)
    say(f"{first} is switched on again; the head has started Ray there after {time.monotonic() - began:.0f} s")
    say_memory_of_head(hosts)
    second = search.lose(of=tuple(w for w in WORKERS if w != first))
    training = until(search.training, PATIENCE)
    assert first in training, training
    say(f"{first} trains again, with {' and '.join(w for w in training if w != first)}")
    hosts.start(second)
    for line in search.end().splitlines():
        say(f"    {line}")
    say(f"the search of 4 trials x 2 folds has ended with status 0 after {time.monotonic() - started:.0f} s")


def say_memory_of_head(hosts: Hosts) -> None:
    """Prints what the head's processes hold while one trial of two workers runs, in proportional set sizes."""
    listed = "for p in /proc/[0-9]*; do echo $(grep -s ^Pss: $p/smaps_rollup | tr -dc 0-9) $(tr '\\0' ' ' < $p/cmdline); done 2> /dev/null"
    held = {"the search": 0, "its trial's processes": 0, "Ray": 0}
    for line in hosts.run("head", listed).stdout.splitlines():
        size, _, command = line.partition(" ")
        kinds = [("ray::", "its trial's processes"), ("platform.search", "the search"), ("/ray/", "Ray")]
        kind = next((kind for word, kind in kinds if word in command), None)
        if kind and size.isdigit():
            held[kind] += int(size)
    say("memory on the head: " + ", ".join(f"{kind} {size / 1e6:.1f} GB" for kind, size in held.items()))


def search_and_lose_head(hosts: Hosts) -> None:
    """Runs a search whose head is lost in mid-fold; `ray up` and the same command go on with it, in mid-fold too."""
    options = f"--trials 1 --epochs {EPOCHS}"
    search = Search(hosts, "second", options)
    until(lambda: search.finished_folds() >= 1, PATIENCE)
    until(search.in_mid_fold, PATIENCE)
    hosts.kill("head")
    killed = time.monotonic()
    search.process.communicate(timeout=PATIENCE)
    status = search.process.returncode
    assert status != 0
    say(f"the head is killed in mid-fold; `ray exec` ends with status {status} after {time.monotonic() - killed:.0f} s")
    hosts.start("head")
    bring_up(hosts)
    before = {folder: history(folder) for folder in search.folds.iterdir()}
    done = {folder for folder in before if (folder / "result.json").exists()}
    assert done
    assert any(before[folder] for folder in before.keys() - done), "workers that did not notice finished what had begun"
    search = Search(hosts, "second", options)
    for line in search.end().splitlines():
        say(f"    {line}")
    for folder, epochs in before.items():
        assert history(folder)[: len(epochs)] == epochs, folder
    say(f"the same command has ended with status 0; of 2 folds {len(done)} was not trained again, and the other went on after epoch "
        f"{max(len(before[folder]) for folder in before.keys() - done)} of {EPOCHS}")  # fmt: skip


def history(folder: Path) -> list[dict[str, float]]:
    """Returns the epochs that a fold has behind it, with the seconds of each, which no two trainings have in common."""
    if (folder / "result.json").exists():
        return list(FoldResult.load(folder).history)
    return (load_checkpoint(folder) or {}).get("history", [])


class Search:
    """A search that was begun on the laptop."""

    def __init__(self, hosts: Hosts, study: str, options: str):
        self.hosts, self.folds = hosts, hosts.shared / "studies" / study / "folds"
        command = f"cd ~/stridefold && {SEARCH} --study {study} {options}"
        self.process = hosts.begin("laptop", f"{RAY} exec on-premises.yaml '{command}'")

    def finished_folds(self) -> int:
        """Returns how many folds are done.

        Raises:
            AssertionError: The search has ended.
        """
        assert self.process.poll() is None, self.process.communicate()[0]
        return len(list(self.folds.glob("*/result.json")))

    def training(self) -> list[str]:
        """Returns the hosts of a trial's two Train workers, once both are there."""
        living = [w for w in WORKERS if w in self.hosts.first]
        found = [w for w in living if any("RayTrainWorker" in p for p in self.hosts.processes(w))]
        return found if len(found) == 2 else []

    def in_mid_fold(self) -> Path | None:
        """Returns the checkpoint of a fold that has begun and is not done."""
        self.finished_folds()
        return next((c for c in self.folds.glob("*/checkpoint.pt") if not c.with_name("result.json").exists()), None)

    def lose(self, of: tuple[str, ...]) -> str:
        """Kills one of some hosts while it trains a fold, waits until the fold goes on, and returns which it was."""
        checkpoint = until(self.in_mid_fold, PATIENCE)
        training = until(self.training, 20)
        lost = next(w for w in reversed(training) if w in of)
        self.hosts.kill(lost)
        killed, fold = time.time(), checkpoint.parent
        assert not (fold / "result.json").exists()
        say(f"the Train workers of a trial sit on {' and '.join(training)}; {lost} is killed in mid-fold")

        def goes_on() -> bool:
            self.finished_folds()
            return any(written(fold / name) > killed + 2 for name in ("checkpoint.pt", "result.json"))

        until(goes_on, PATIENCE)
        say(f"the fold goes on, on other hosts: {time.time() - killed:.0f} s after the kill")
        return lost

    def end(self) -> str:
        """Waits for a search that must succeed, and returns what it printed."""
        said, _ = self.process.communicate(timeout=1200)
        assert self.process.returncode == 0, said
        _, begins, own = said.partition("cohort cohort.csv")  # `ray exec` says much of itself before and after
        return begins + own.partition("\x1b")[0].rstrip()


def written(path: Path) -> float:
    """Returns when a file was written; 0 where there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
