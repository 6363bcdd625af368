"""Runs every benchmark, prints one table, and writes it to benchmarks/RESULTS.md; `make bench`.

python benchmarks/table.py                     # an hour and a half on two cores
python benchmarks/table.py inside_a_trial      # those whose command has the word; the others' rows stay
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.figures import HEAD, Figure, parser

RESULTS = Path(__file__).with_name("RESULTS.md")
START, END = "<!-- made by make bench -->", "<!-- end of what make bench made -->"
COMMANDS = (
    "full_size_step.py --frames 8 --batch 4",
    "full_size_step.py --frames 70 --batch 1 --rounds 2",
    "full_size_step.py --frames 70 --batch 1 --rounds 2 --checkpointing --alone",
    "attention.py",
    "inside_a_trial.py",
    "frozen_prefix.py",
    "ingest.py",
    "frame_cache.py",
    "many_trials.py --trials 300 --folds 5",
    "many_trials.py --trials 100 --folds 20",
    "many_trials.py --trials 20 --folds 5 --seconds 20",
    "embedded_search.py",
    "growth.py",
    "many_videos.py --videos 1000 10000",
    "near_duplicates.py --videos 10000 100000",
    "scale.py --videos 100000 --trials 1000",
    "start_up.py",
)


def main() -> int:
    """Runs and writes; returns 1 where a benchmark failed."""
    options = parser(__doc__)
    options.add_argument("words", nargs="*", help="run only the commands with one of these words in them")
    words = options.parse_args().words
    failed = False
    for command in COMMANDS:
        if words and not any(word in command for word in words):
            continue
        lines = run(command)
        failed |= not lines
        print(f"\n    python benchmarks/{command}\n", *([HEAD, *lines] if lines else ["failed"]), sep="\n", flush=True)
        if lines:
            write(command, lines)
    return int(failed)


def run(command: str) -> list[str]:
    """Returns the rows that a benchmark prints; none where it failed."""
    here = Path(__file__).parent
    environment = os.environ | {"FIGURES": "json"}
    done = subprocess.run(
        [sys.executable, *f"{here}/{command}".split()], stdout=subprocess.PIPE, env=environment, text=True
    )
    found = [Figure(**json.loads(line)).line() for line in done.stdout.splitlines() if line.startswith("{")]
    return found if done.returncode == 0 else []


def write(command: str, lines: list[str]) -> None:
    """Puts one benchmark's rows into RESULTS.md; those of the others stay."""
    before, _, rest = RESULTS.read_text().partition(START)
    made, _, after = rest.partition(END)
    blocks = made.split("## `python benchmarks/")[1:]
    sections = {block.partition("`")[0]: block.partition("\n")[2].strip() for block in blocks}
    sections[command] = "\n".join([machine(), "", HEAD, *lines])
    ordered = [c for c in COMMANDS if c in sections]
    text = "\n\n".join(f"## `python benchmarks/{c}`\n\n{sections[c]}" for c in ordered)
    RESULTS.write_text(f"{before}{START}\n\n{text}\n\n{END}{after}")


def machine() -> str:
    """Returns what these figures were measured on."""
    names = [
        x.partition(":")[2].strip()
        for x in Path("/proc/cpuinfo").read_text().splitlines()
        if x.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    widest = torch.backends.cpu.get_cpu_capability()
    date = datetime.date.today().isoformat()
    return (f"{date}, {len(names)} cores of {names[0]} ({widest}), {memory:.0f} GiB, {gpu}; Python {sys.version.split()[0]}, "
            f"torch {torch.__version__}.")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
