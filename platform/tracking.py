"""`python -m platform.cohort track`: follows the walker in every video of a manifest, and shows what was found."""

from collections.abc import Sequence
from pathlib import Path
from platform.console import Console
from platform.options import SearchOptions
from platform.resources import ray_session
from platform.session import frame_cache
from platform.tracking_options import Pages

import numpy as np
import polars as pl

from reports.documents.strips import SHOWN, VideoStrip, write_page, write_sheet
from trainables.cohort.new_videos import read_manifest_videos
from trainables.cohort.own_boxes import job_of
from trainables.errors import CohortError, ConfigurationError
from trainables.recordings.containers import VideoError
from trainables.study.passes import spans
from trainables.tracking.following import strip_or_error, track_or_error
from trainables.tracking.readiness import make_ready
from trainables.tracking.strip import Strip
from trainables.tracking.track import Track


def track(options: SearchOptions, pages: Pages, console: Console) -> int:
    """Follows every walker, writes the page, and lists the videos that cannot be used.

    Raises:
        CohortError: Lists every video that cannot be read or whose walker cannot be followed; the page is written.
    """
    if options.track == "none":
        raise ConfigurationError(
            "--track none follows nobody; leave it out, or name a tracker", code="option.track.none"
        )
    manifest = Path(options.cohort or "")
    videos = read_manifest_videos(manifest, follow_links=options.follow_links, columns=options.column)
    cache = frame_cache(options)
    make_ready(options.track, options.pose_weights, cache)
    jobs = [job_of(row, options.track, cache) for row in videos.iter_rows(named=True)]
    with ray_session(options):
        from platform.tuner import in_ray_tasks  # Ray takes seconds, and a wrong manifest needs none of it

        found: dict[int, Track | VideoError] = {}
        with console.progress("following walkers", len(jobs)) as on_video:
            for index, result in in_ray_tasks(jobs, track_or_error):
                found[index] = result
                on_video(len(found))
        chosen = shown_first(found)
        strips = {}
        with console.progress("drawing strips", len(chosen)) as on_video:
            for place, result in in_ray_tasks([jobs[i] | {"faces": pages.faces} for i in chosen], strip_or_error):
                strips[chosen[place]] = result
                on_video(len(strips))
    names = videos["video"].to_list()
    drawn = [as_strip(names[i], strips[i]) for i in chosen if isinstance(strips[i], Strip)]
    write_page(pages.page, f"Walkers in {manifest.name}", drawn, len(jobs), faces=pages.faces)
    console.say(f"page: {pages.page}")
    if pages.sheet:
        write_sheet(pages.sheet, drawn)
        console.say(f"sheet: {pages.sheet}")
    return report(manifest, names, found, console)


def report(manifest: Path, names: Sequence[str], found: dict[int, Track | VideoError], console: Console) -> int:
    """Prints how many walkers were followed.

    Raises:
        CohortError: Lists the videos that cannot be used.
    """
    from platform.following import followed

    problems = [f"{names[i]} {found[i].problem}" for i in sorted(found) if found[i].problem]
    tracks = [(names[i], one) for i, one in sorted(found.items()) if isinstance(one, Track) and not one.problem]
    if tracks:
        for line in followed(as_table(tracks)):
            console.say(line)
    if problems:
        raise CohortError(str(manifest), problems, code="cohort.problems")
    return 0


def as_table(tracks: Sequence[tuple[str, Track]]) -> pl.DataFrame:
    """Returns (video, its track) as the columns of an ingested cohort that say how walkers were followed."""
    passes = [None if one.passes is None else [list(span) for span in one.passes] for _, one in tracks]
    return pl.DataFrame(
        {
            "video": [name for name, _ in tracks],
            "frames": [one.frames for _, one in tracks],
            "passes": pl.Series(passes, dtype=pl.List(pl.List(pl.Int64))),
            "followed": [one.kind for _, one in tracks],
            "follow_note": [one.note for _, one in tracks],
        }
    )


def shown_first(found: dict[int, Track | VideoError]) -> list[int]:
    """Returns the videos that the page shows: those with a problem, then those with a note, then the others, evenly picked."""
    readable = {i: one for i, one in sorted(found.items()) if isinstance(one, Track)}
    first = [i for i, one in readable.items() if one.problem] + [
        i for i, one in readable.items() if one.note and not one.problem
    ]
    return picked(first, [i for i, one in readable.items() if not one.problem and not one.note])


def picked(first: list[int], others: list[int]) -> list[int]:
    """Returns the videos of one page: those that come first, then the others, sampled evenly if they do not all fit."""
    left = max(SHOWN - len(first), 0)
    evenly = np.linspace(0, len(others) - 1, min(left, len(others))).round().astype(int).tolist()
    return first[:SHOWN] + [others[i] for i in sorted(set(evenly))]


def as_strip(name: str, strip: Strip) -> VideoStrip:
    """Returns a strip as the page draws it."""
    track = strip.track
    return VideoStrip(
        name=name,
        frames=strip.frames,
        numbers=strip.numbers,
        scale=strip.scale,
        boxes=track.boxes,
        squares=track.crops,
        states=track.states,
        passes=spans(track.frames, track.passes),
        count=track.frames,
        note=track.note,
        problem=track.problem,
    )
