"""Cached frames show patients: nobody but the user may look into the cache, whoever made it."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.errors import coded
from tests.videos import write_video
from trainables.data.cache import in_processes, ingest
from trainables.data.cache_folder import close_folder, open_cache, open_frames
from trainables.errors import StridefoldError
from trainables.study.files import file_sha256


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def _open_umask() -> Iterator[None]:
    """The mask of a machine whose users share everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_own_cache(tmp_path, monkeypatch):
    """The user's own cache is closed, and closed again where an older version or another program left it open."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "stridefold" / "frames").mkdir(mode=0o777, parents=True)
    assert open_cache("") == tmp_path / "stridefold"
    assert open_frames("") == tmp_path / "stridefold" / "frames"
    assert [mode(tmp_path / "stridefold"), mode(tmp_path / "stridefold" / "frames")] == [0o700, 0o700]


def test_named_cache(tmp_path):
    """A folder that the user named is closed if it is made, else stays as it is; its frames are closed anyway."""
    open_frames(str(tmp_path / "new"))
    (tmp_path / "old").mkdir(mode=0o755)
    open_frames(str(tmp_path / "old"))
    assert [mode(tmp_path / name) for name in ("new", "new/frames", "old", "old/frames")] == [
        0o700,
        0o700,
        0o755,
        0o700,
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_frames(tmp_path, workers):
    """A process that decodes, here or in a pool as on other machines of a cluster, closes the folder and each file."""
    video = write_video(tmp_path / "walk.mp4", frames=30)
    folder = tmp_path / "cache" / "frames"
    folder.mkdir(mode=0o777, parents=True)
    job = {"path": video, "sha256": file_sha256(video), "box": None, "size": 32, "folder": folder}
    made = [result for _, result in in_processes([job], workers=workers)] if workers else [ingest(**job)]
    assert mode(folder) == 0o700
    assert [mode(folder / video.name) for video in made] == [0o600]


def test_ray_task(tmp_path):
    """A Ray worker does the same."""
    write_video(tmp_path / "walk.mp4", frames=30)
    program = f"""
import os, ray
from pathlib import Path
os.umask(0)
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
from platform.tuner import in_ray_tasks
place = Path({str(tmp_path)!r})
job = dict(path=place / "walk.mp4", sha256="a", box=None, size=32, folder=place / "cache" / "frames")
[(_, made)] = in_ray_tasks([job])
print(made.name)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    frames = tmp_path / "cache" / "frames"
    assert mode(frames) == 0o700
    assert mode(frames / done.stdout.split()[-1]) == 0o600


def test_simulated_cohort(tmp_path, monkeypatch):
    """The demo, which makes the cache before any video is decoded, closes it and its simulated cohort."""
    from platform.console import Console
    from platform.options import SearchOptions
    from platform.pipeline import gather_cohort

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    gather_cohort(SearchOptions(subjects=6, folds=2), Console(plain=True))
    [cohort] = (tmp_path / "stridefold").iterdir()
    assert cohort.name.startswith("simulated-6-subjects")
    assert [mode(tmp_path / "stridefold"), mode(cohort)] == [0o700, 0o700]


def test_folder_that_cannot_be_made(tmp_path):
    """A file in the way is one sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(StridefoldError, check=coded("cache.not_writable", "file/cache")):
        open_frames(str(tmp_path / "file" / "cache"))


def test_folder_that_cannot_be_closed(tmp_path, monkeypatch):
    """Where access rights cannot be set, e.g. another user's folder, or a disk of a system without them, nothing is written."""
    (tmp_path / "theirs").mkdir(mode=0o755)

    def refuse(path: Path, mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    for chmod in (refuse, lambda path, mode: None):
        monkeypatch.setattr(Path, "chmod", chmod)
        with pytest.raises(StridefoldError, check=coded("cache.open_to_others", "theirs")):
            close_folder(tmp_path / "theirs")
