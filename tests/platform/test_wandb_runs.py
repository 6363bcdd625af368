"""`--wandb offline` with the real client: runs in the study's folder, without an account and without a network."""

import contextlib
import getpass
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from platform.console import Console
from platform.wandb_runs import kept_as_runs, run_id

import pytest

from tests.make_study import make_study
from trainables.study.leaderboard import read_trials
from trainables.study.records import StudyRecord

wandb = pytest.importorskip("wandb", reason="the client of Weights & Biases is not installed (make wandb-test)")

BLOCK = 32768


@pytest.fixture(autouse=True)
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in here."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def chunks(data: bytes) -> Iterator[bytes]:
    """Yields the records of a run's file: seven bytes, then a log in LevelDB's format, in blocks of 32 KiB."""
    at, held = 7, b""
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # too short for a head: padding
            at += BLOCK - at % BLOCK
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        held += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield held
            held = b""


def read_runs(study: Path) -> dict[str, list]:
    """Returns the records of each run in a study's folder, by the run's id."""
    from wandb.proto.wandb_internal_pb2 import Record

    paths = study.glob("wandb/offline-run-*/*.wandb")
    return {path.stem.removeprefix("run-"): [Record.FromString(c) for c in chunks(path.read_bytes())] for path in paths}


def test_every_trial_that_has_ended_is_a_run(tmp_path):
    """With its settings, its folds as steps and its state; a search that goes on writes no run twice."""
    study = make_study(tmp_path / "study", trials=4)
    for _ in range(2):
        with kept_as_runs("offline", study, Console(plain=True)):
            pass
    record, trials = StudyRecord.load(study), read_trials(study, "gait-study")
    runs = read_runs(study)
    assert sorted(runs) == sorted(run_id(record, t.number) for t in trials)
    assert len(list(study.glob("wandb/offline-run-*"))) == len(trials)
    for trial in trials:
        records = runs[run_id(record, trial.number)]
        [run] = [r.run for r in records if r.WhichOneof("record_type") == "run"]
        assert (run.run_group, run.display_name) == (record.name, f"trial {trial.number}")
        settings = {item.key: item.value_json for item in run.config.update}
        assert settings["text.n_ctx"] == str(trial.config["text.n_ctx"])
        steps = [r.history for r in records if r.WhichOneof("record_type") == "history"]
        names = [{".".join(item.nested_key) or item.key for item in step.item} for step in steps]
        assert sum("fold_subject_macro_f1" in step for step in names) == len(trial.folds)


def test_nothing_about_people_or_this_machine_is_written(tmp_path):
    """No subject, no file name, no path, no user and no host's name stands in any file of a run."""
    study = make_study(tmp_path / "P07-clinic" / "study", trials=2)
    with kept_as_runs("offline", study, Console(plain=True)):
        pass
    secrets = [b"P07-clinic", b"S01", b".mp4", str(tmp_path).encode(), socket.gethostname().encode()]
    secrets += [getpass.getuser().encode()] if len(getpass.getuser()) > 4 else []
    written = {path: path.read_bytes() for path in study.glob("wandb/offline-run-*/*.wandb")}
    assert len(written) == 2
    assert [(path.name, word) for path, text in written.items() for word in secrets if word in text] == []


def test_a_run_that_cannot_be_written_ends_no_search(tmp_path, capsys):
    """It is reported once, and the block goes on to its end."""
    study = make_study(tmp_path / "study", trials=1)
    reached = False
    with contextlib.suppress(ValueError), kept_as_runs("offline", study, Console(plain=True)):
        (study / "cohort.json").unlink(missing_ok=True)
        (study / "wandb").write_text("in the way")
        reached = True
    assert reached
    assert capsys.readouterr().out.count("the search goes on") == 1
