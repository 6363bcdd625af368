"""Seeing a fold train: its curve, its progress file and its TensorBoard events, in real training."""

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_cohort import CONFIG, RECIPE, TinyCohort, make_cohort
from trainables.study.progress import FILE, PREPARING, SCORING, TRAINING, FoldProgress, forget_all
from trainables.study.records import FoldResult
from trainables.training.checkpoint import MEMORY
from trainables.training.distributed import Workers
from trainables.training.fold import train_fold
from trainables.training.monitor import POINTS, Monitor

STEPS = RECIPE.with_values({"optimizer.steps": 8, "optimizer.epochs": 2, "optimizer.batch_size": 2})


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyCohort:
    return make_cohort(tmp_path_factory.mktemp("progress"))


class Stop(Exception):
    """Raised by a test to interrupt training."""


def read_events(folder: Path) -> list:
    """Returns the events of the one event file in a folder."""
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    (path,) = folder.iterdir()
    contents, events = path.read_bytes(), []
    while contents:
        (size,), check = struct.unpack("<Q", contents[:8]), struct.unpack("<I", contents[8:12])
        record = contents[12 : 12 + size]
        assert check == (masked_crc32c(contents[:8]),)
        assert struct.unpack("<I", contents[12 + size : 16 + size]) == (masked_crc32c(record),)
        events.append(Event.FromString(record))
        contents = contents[16 + size :]
    return events


def scalars(events: list) -> dict[str, list[tuple[int, float]]]:
    """Returns (step, value) of each tag, in the order of writing."""
    found: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_curve_and_events_hold_the_same_points(tiny, tmp_path):
    """Every step of eight is a point, epochs are their means, and the event file holds each of their numbers and no name."""
    job = tiny.job(tmp_path / "P07-fold")
    result = train_fold(STEPS, job, events=tmp_path / "events")
    assert [(p["step"], p["epoch"]) for p in result.curve] == [(i, i / 4) for i in range(1, 9)]
    for epoch in result.history:
        points = [p for p in result.curve if epoch["epoch"] < p["epoch"] <= epoch["epoch"] + 1]
        for name in ("loss", "video", "numeric", "anchor", "gradient_text"):
            assert sum(p[name] for p in points) / 4 == pytest.approx(epoch[name], rel=1e-4, abs=1e-9)
        assert points[-1]["lr"] == pytest.approx(epoch["lr"], rel=1e-5)
    assert FoldResult.load(job.folder).curve == result.curve
    events = read_events(tmp_path / "events")
    assert events[0].file_version == "brain.Event:2"
    found = scalars(events)
    assert {"loss/total", "loss/video", "loss/numeric", "loss/anchor", "lr", "gradient_norm/text"} <= set(found)
    for tag, name in (("loss/total", "loss"), ("loss/video", "video"), ("gradient_norm/readout", "gradient_readout")):
        assert [step for step, _ in found[tag]] == list(range(1, 9))
        assert [value for _, value in found[tag]] == pytest.approx([p[name] for p in result.curve], rel=1e-6)
    contents = next((tmp_path / "events").iterdir()).read_bytes()
    subjects = tiny.cohort.videos["subject"].unique()
    assert not any(name.encode() in contents for name in (*subjects, "P07-fold", str(tmp_path)))


def test_an_interrupted_fold_has_one_whole_curve(tiny, tmp_path):
    """Stopped after an epoch and continued under another trial's name, curve and events are those of one training."""
    whole = train_fold(STEPS, tiny.job(tmp_path / "whole"))
    job = tiny.job(tmp_path / "stopped")

    def stop(_: dict[str, float]) -> None:
        raise Stop

    with pytest.raises(Stop):
        train_fold(STEPS, job, on_epoch=stop, events=tmp_path / "trial-0")
    assert [step for step, _ in scalars(read_events(tmp_path / "trial-0"))["loss/total"]] == [1, 2, 3, 4]
    result = train_fold(STEPS, job, events=tmp_path / "trial-1")
    assert result.curve == whole.curve
    assert [step for step, _ in scalars(read_events(tmp_path / "trial-1"))["loss/total"]] == list(range(1, 9))
    train_fold(STEPS, job, events=tmp_path / "trial-2")  # finished: only read
    again, once = (scalars(read_events(tmp_path / f"trial-{n}")) for n in (2, 1))
    assert again == once


def test_a_long_training_has_about_forty_points():
    """A thousand steps in three epochs give the end of every epoch and a point every fortieth, each a mean of its steps."""
    monitor = Monitor(None, Workers())
    monitor.begin(3, 333, 0.5, done=0, curve=[])
    for step in range(3 * 333):
        monitor.step({"video": step, "numeric": 2.0, "pairing": 0.0, "anchor": 1.0}, {"text": 4.0}, 0.1)
    steps = [p["step"] for p in monitor.curve]
    assert POINTS <= len(steps) <= POINTS + 3
    assert {333, 666, 999} <= set(steps)
    before = 0
    for point in monitor.curve:
        assert point["video"] == pytest.approx((before + point["step"] - 1) / 2, rel=1e-5)
        assert point["loss"] == pytest.approx(point["video"] + 0.5 * 2 + 1, rel=1e-5)
        assert (point["gradient_text"], point["lr"]) == (4.0, 0.1)
        before = point["step"]
    assert monitor.epoch()["video"] == pytest.approx(998 / 2)


def test_points_are_means_over_all_workers():
    """A worker's losses are its share of a step, so the workers' sums together are the mean."""

    class Two(Workers):
        def gather(self, items: list) -> list:
            return [*items, {"video": 30.0, "numeric": 0.0, "pairing": 0.0, "anchor": 0.0}]

    monitor = Monitor(None, Two(rank=0, count=2))
    monitor.begin(1, 2, 0.1, done=0, curve=[])
    for video in (4.0, 6.0):
        monitor.step({"video": video, "numeric": 0.0, "pairing": 0.0, "anchor": 0.0}, {}, 0.1)
    assert [p["video"] for p in monitor.curve] == [34.0, 36.0]


def test_progress_goes_through_the_phases_and_ends_with_the_fold(tiny, tmp_path, monkeypatch):
    """The file says what the fold does while it does it, and is gone when the fold has ended, well or not."""
    monkeypatch.setattr("trainables.training.monitor.BETWEEN_WRITES", 0.0)
    seen: list[FoldProgress] = []
    save = FoldProgress.save

    def noting(self: FoldProgress, folder: Path) -> None:
        save(self, folder)
        seen.append(FoldProgress.load(folder))

    monkeypatch.setattr(FoldProgress, "save", noting)
    job = tiny.job(tmp_path / "fold")
    fresh = replace(job, cache=tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    for file in tiny.cache.glob("*.npy"):
        (tmp_path / "cache" / file.name).symlink_to(file)
    train_fold(STEPS, fresh)
    phases = [p.phase for p in seen]
    assert phases == sorted(phases, key=[PREPARING, TRAINING, SCORING].index)
    assert [(p.done, p.total) for p in seen if p.phase == PREPARING] == [(0, 0), *((i, 5) for i in range(1, 6))]
    steps = [p for p in seen if p.phase == TRAINING]
    assert [(p.done, p.total, p.share) for p in steps] == [(i, 8, i / 8) for i in range(1, 9)]
    assert all(math.isfinite(p.loss) for p in steps)
    assert steps[0].seconds_left > 0 == steps[-1].seconds_left
    assert any(p.phase == SCORING and p.total == 1 for p in seen)
    assert FoldProgress.load(job.folder) is None
    with pytest.raises(Stop):
        train_fold(STEPS, tiny.job(tmp_path / "other"), on_epoch=lambda _: (_ for _ in ()).throw(Stop))
    assert not (tmp_path / "other" / FILE).exists()


def test_progress_is_written_once_a_second_at_most(tmp_path, monkeypatch):
    """A thousand steps in no time write the file once."""
    writes = []
    monkeypatch.setattr(FoldProgress, "save", lambda self, folder: writes.append(self))
    monitor = Monitor(tmp_path, Workers())
    monitor.begin(1, 1000, 0.1, done=0, curve=[])
    for _ in range(1000):
        monitor.step({"video": 1.0, "numeric": 0.0, "pairing": 0.0, "anchor": 0.0}, {}, 0.1)
    assert len(writes) == 1


def test_only_the_leading_worker_writes(tmp_path):
    """Another worker keeps the curve, and leaves no file."""
    monitor = Monitor(tmp_path / "fold", Workers(rank=1, count=2), tmp_path / "events")
    monitor.close()
    assert list(tmp_path.iterdir()) == []


def test_progress_that_cannot_be_read_is_none(tmp_path):
    """A missing, damaged or foreign file is nothing to show; what a kill left behind is removed as a search begins."""
    assert FoldProgress.load(tmp_path) is None
    folder = tmp_path / "folds" / "abc"
    FoldProgress(phase=TRAINING, done=3, total=9, loss=0.5, seconds_left=6.0).save(folder)
    assert FoldProgress.load(folder).share == pytest.approx(1 / 3)
    for contents in ("", "{", "[]", json.dumps({"phase": "x", "more": 1})):
        (folder / FILE).write_text(contents)
        assert FoldProgress.load(folder) is None
    forget_all(tmp_path)
    assert list(folder.iterdir()) == []


def test_results_of_before_have_no_curve(tiny, tmp_path):
    """A result that was written without the field is read."""
    job = tiny.job(tmp_path)
    train_fold(CONFIG.with_values({"optimizer.epochs": 1}), job)
    raw = json.loads((job.folder / "result.json").read_text())
    del raw["curve"]
    (job.folder / "result.json").write_text(json.dumps(raw))
    assert FoldResult.load(job.folder).curve == ()
    assert not (job.folder / MEMORY).exists()
