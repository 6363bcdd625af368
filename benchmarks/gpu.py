"""Measures training on one NVIDIA GPU: is it right, how fast is each part, and against what; at most eight minutes.

    python benchmarks/gpu.py                                       # prints one table
    python benchmarks/gpu.py --markdown benchmarks/RESULTS.md      # and writes it between its marks in that file

From the repository's root or anywhere else, on a machine with torch and transformers; Ray, polars, PyAV, this package's
installation and a network are not needed. First the GPU is compared with the CPU: features and gradients of a step, and a small
fold. Then rows are measured in the order of their importance until the minutes are over. A row that fails says why, and
the others go on: each is measured in a process that is begun again after a failure. Without a GPU everything runs on the CPU at a
tiny size, which shows only that it runs.
"""

import argparse
import importlib.util
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":  # the folder of this file comes first otherwise, and the packages lie beside it
    sys.path[0] = str(ROOT)

NEEDED = ("torch", "transformers", "numpy", "safetensors", "tokenizers")
START, END = "<!-- made by benchmarks/gpu.py -->", "<!-- end of what benchmarks/gpu.py made -->"
HEAD = (
    "| what | time | spread | windows/s | TFLOP/s | of the bf16 rate | memory | note |\n"
    "|---|---|---|---|---|---|---|---|"
)
LONGEST = 150.0
"""Seconds that one row may take, torch.compile included."""
LEFT = 0.5
"""GiB on the GPU with which a process goes on to the next row; libraries keep some."""


def main() -> int:
    """Measures and prints; returns 1 where packages are missing or the GPU computes something else than the CPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="rows begin until then (default 8)")
    parser.add_argument(
        "--markdown", type=Path, help="file to write the section to, between its marks where it has them"
    )
    parser.add_argument("--profile", type=Path, help="file to write the kernels of three steps to")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    parser.add_argument("--tiny", action="store_true", help="tiny sizes on a GPU too")
    given = parser.parse_args()
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        print(f"this needs {', '.join(missing)}: pip install {' '.join(missing)}", file=sys.stderr)
        return 1
    until = time.monotonic() + 60 * given.minutes
    with Worker(given.tiny) as worker:
        report = Report(worker.call("about", LONGEST)[0])
        print(f"{report.about['machine']}\n", flush=True)
        report.check(worker)
        print(f"\n{HEAD}", flush=True)
        for row in plan(report.about):
            if time.monotonic() > until:
                report.left.append(row["name"])
            elif given.only in row["name"]:
                report.measure(worker, row, LONGEST)
        if given.profile:
            lines = [line for how in ("graph", "compiled") for line in profile(worker, report.about, how)]
            given.profile.write_text("\n".join(lines) + "\n")
    print(*report.summary(), sep="\n", flush=True)
    if given.markdown:
        write(given.markdown, report.section())
    return 0 if report.agrees else 1


def begin(connection: Connection, tiny: bool) -> None:
    """Serves in the process that measures; torch is imported there alone."""
    from benchmarks.gpu_worker import serve

    serve(connection, tiny)


class Worker:
    """The process that measures; one that fails or takes too long is ended, and the next call begins another."""

    def __init__(self, tiny: bool):
        self.tiny = tiny
        self.process: Any = None
        self.connection: Connection | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def call(self, name: str, seconds: float, **given: Any) -> list[Any]:
        """Returns what a measurement gives.

        Raises:
            RuntimeError: It failed, or took longer than `seconds`; says what happened.
        """
        if self.process is None:
            spawn = multiprocessing.get_context("spawn")
            self.connection, theirs = spawn.Pipe()
            self.process = spawn.Process(target=begin, args=(theirs, self.tiny), daemon=True)
            self.process.start()
            theirs.close()
        assert self.connection is not None
        self.connection.send((name, given))
        try:
            if not self.connection.poll(seconds):
                raise RuntimeError(f"stopped after {seconds:.0f} s")
            problem, found, left = self.connection.recv()
        except (EOFError, OSError, RuntimeError) as error:
            self.end()
            raise RuntimeError(str(error) if isinstance(error, RuntimeError) else "its process ended") from None
        if left > LEFT or (problem and problem != "out of memory"):
            self.end()  # what it leaves on the GPU is not in the next row's memory
        if problem:
            raise RuntimeError(problem)
        return list(found)

    def end(self) -> None:
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


class Report:
    """The rows so far, and what they say together."""

    def __init__(self, about: dict[str, Any]):
        self.about = about
        self.agrees = True
        self.checks: list[str] = []
        self.lines: list[str] = []
        self.left: list[str] = []
        self.rate = 0.0
        self.counts: dict[int, list[float]] = {}
        self.steps: dict[tuple[int, int, str], Any] = {}
        """The fastest step of each (frames, batch, side)."""

    def check(self, worker: Worker) -> None:
        """Compares the device with the CPU, and prints each comparison."""
        for name in ("gradients", "fold"):
            try:
                found = worker.call(name, LONGEST)
            except RuntimeError as error:
                self.agrees = False
                found = []
                self.checks.append(f"- {name}: {error}")
                print(self.checks[-1], flush=True)
            for what, apart, allowed in found:
                self.agrees &= apart <= allowed
                verdict = "agrees" if apart <= allowed else "DIFFERS"
                self.checks.append(f"- {what}: {verdict}, by {apart:.1e} (at most {allowed:g})")
                print(self.checks[-1], flush=True)

    def measure(self, worker: Worker, row: dict[str, Any], seconds: float) -> None:
        """Measures one entry of the plan, and prints its rows."""
        given = {key: value for key, value in row.items() if key not in ("name", "call")}
        try:
            found = worker.call(row["call"], seconds, **given)
        except RuntimeError as error:
            self.lines.append(f"| {row['name']} |  |  |  |  |  |  | {error} |")
            print(self.lines[-1], flush=True)
            return
        if row["call"] == "count":
            self.counts[row["frames"]] = found
            return
        if row["call"] == "rates":
            self.rate = found[0]["flops"] / found[0]["seconds"]
        for entry in found:
            if row["call"] == "step":
                self._keep_step(row, entry)
            self.lines.append(self._line(entry))
            print(self.lines[-1], flush=True)

    def _keep_step(self, row: dict[str, Any], entry: dict[str, Any]) -> None:
        fixed, each = self.counts.get(row["frames"], (0.0, 0.0))
        if row["side"] == "ours":
            entry["flops"] = fixed + row["batch"] * each
        key = (row["frames"], row["batch"], row["side"])
        if key not in self.steps or entry["seconds"] < self.steps[key]["seconds"]:
            self.steps[key] = entry

    def _line(self, row: dict[str, Any]) -> str:
        seconds = row["seconds"]
        if not seconds:
            return f"| {row['what']} |  |  |  |  |  |  | {row['note']} |"
        spread = f"{1e3 * row['low']:.3g}-{1e3 * row['high']:.3g}" if row["high"] > row["low"] else ""
        rate = row["flops"] / seconds
        cells = [row["what"], f"{1e3 * seconds:.3g} ms", spread, f"{row['windows'] / seconds:.3g}" if row["windows"] else "",
                 f"{rate / 1e12:.3g}" if rate else "", f"{rate / self.rate:.2f}" if rate and self.rate else "",
                 f"{row['memory']:.1f} GiB" if row["memory"] else "", row["note"]]  # fmt: skip
        return f"| {' | '.join(cells)} |"

    def summary(self) -> list[str]:
        """Returns what the steps come to against the aims, as lines of Markdown."""
        lines = [""]
        ours = {key[:2]: step for key, step in self.steps.items() if key[2] == "ours"}
        for (frames, batch), step in sorted(ours.items()):
            share = f"{step['flops'] / step['seconds'] / self.rate:.2f} of the bf16 rate (aim 0.5)" if self.rate else ""
            parts = [share] if share else []
            for side in ("release", "release tf32"):
                if other := self.steps.get((frames, batch, side)):
                    aim = " (aim 4)" if side == "release" else ""
                    name = "release-style step" + (" in tf32" if side == "release tf32" else "")
                    parts.append(f"{other['seconds'] / step['seconds']:.1f} times the {name}{aim}")
            lines.append(f"- T = {frames}, batch {batch}, fastest of ours: {'; '.join(parts)}")
        if self.left:
            lines.append(f"- not measured within the minutes: {'; '.join(self.left)}")
        return lines

    def section(self) -> str:
        """Returns the whole as a section of Markdown."""
        return "\n".join(["## `python benchmarks/gpu.py`", "", self.about["machine"], "",
                          "Compared with float32 on the CPU, norm of the difference over that of the reference:", "",
                          *self.checks, "", HEAD, *self.lines, *self.summary()])  # fmt: skip


def plan(about: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns what is measured, the most important first; each entry has its name, its call and its arguments."""
    (few, many), (some, large) = about["frames"], about["batches"]
    entries: list[dict[str, Any]] = []

    def add(call: str, **given: Any) -> None:
        name = " ".join([call, *(str(v) for v in given.values())])
        entries.append({"name": name, "call": call, **given})

    def ours(frames: int, batch: int, *ways: tuple[str, str]) -> None:
        for precision, how in ways:
            if about["gpu"] or (precision, how) == ("float32", "eager"):
                add("step", frames=frames, batch=batch, side="ours", precision=precision, gpu_step=how)

    add("rates")
    for frames, batches in ((few, some), (many, large)):
        add("count", frames=frames)
        ours(frames, batches[0], ("bf16", "graph"), ("bf16", "compiled"), ("bf16", "eager"))
        add("step", frames=frames, batch=batches[0], side="release")
        if about["gpu"]:
            add("step", frames=frames, batch=batches[0], side="release tf32")
        ours(frames, batches[0], ("float32", "eager"))
        add("clip", frames=frames, batch=batches[0], dtype="bfloat16" if about["gpu"] else "float32")
    for frames, batches in ((many, large), (few, some)):
        for batch in batches[1:]:
            ours(frames, batch, ("bf16", "graph"), ("bf16", "compiled"))
            add("step", frames=frames, batch=batch, side="release")
    add("attention", frames=many, batch=large[0])
    add("packing", frames=few, batch=some[0])
    for frames, batch in ((few, some[0]), (many, large[0])):
        add("windows", frames=frames, batch=batch)
        add("evaluation", frames=frames, batch=16 if about["gpu"] else batch)
    add("decoder")
    add("checkpoint", frames=many)
    add("patches", frames=many, batch=large[0])
    for frames, batches in ((few, some), (many, large)):
        if about["gpu"]:
            add("clip", frames=frames, batch=batches[0], dtype="float32")
        for batch in batches[1:]:
            ours(frames, batch, ("bf16", "eager"), ("float32", "eager"))
            add("clip", frames=frames, batch=batch, dtype="bfloat16" if about["gpu"] else "float32")
    return entries


def profile(worker: Worker, about: dict[str, Any], how: str) -> list[str]:
    """Returns the kernels of a step for the smallest batch of few frames and of many."""
    lines: list[str] = []
    precision = "bf16" if about["gpu"] else "float32"
    for frames, batches in zip(about["frames"], about["batches"], strict=True):
        try:
            found = worker.call("profile", LONGEST, frames=frames, batch=batches[0], precision=precision, gpu_step=how)
        except RuntimeError as error:
            found = [str(error)]
        lines += [*map(str, found), ""]
    return lines


def write(path: Path, section: str) -> None:
    """Puts the section between its marks where the file has them; otherwise the file becomes the section."""
    text = path.read_text() if path.exists() else ""
    before, start, rest = text.partition(START)
    after = rest.partition(END)[2]
    made = f"{START}\n\n{section}\n\n{END}"
    path.write_text(f"{before}{made}{after}" if start else f"{made}\n")


if __name__ == "__main__":
    sys.exit(main())
