"""`python -m platform.cohort measure`: gait parameters from the videos of a manifest, as a manifest that has them."""

from collections.abc import Sequence
from pathlib import Path
from platform.console import Console
from platform.options import SearchOptions
from platform.resources import ray_session
from platform.session import frame_cache

from trainables.cohort.measured_manifest import write_measured, write_rows
from trainables.cohort.new_videos import read_manifest_videos
from trainables.cohort.own_boxes import job_of
from trainables.errors import CohortError, ConfigurationError
from trainables.recordings.containers import VideoError
from trainables.tracking.gait import Measured
from trainables.tracking.measuring import keys_of, measured_or_error
from trainables.tracking.readiness import make_ready

NAMED = 3
"""Videos that a line names; the rest are counted."""


def measure(options: SearchOptions, out: Path, console: Console) -> int:
    """Measures every walker, writes the manifest and a table of qualities next to it, and says what could not be measured.

    Raises:
        CohortError: Lists every video that cannot be read; nothing is written then.
    """
    if options.track == "none":
        raise ConfigurationError(
            "--track none follows nobody, so nothing can be measured; leave it out, or name a tracker",
            code="option.track.none",
        )
    manifest = Path(options.cohort or "")
    videos = read_manifest_videos(manifest, follow_links=options.follow_links, columns=options.column)
    cache = frame_cache(options)
    make_ready(options.track, options.pose_weights, cache)
    jobs = [job_of(row, options.track, cache) for row in videos.iter_rows(named=True)]
    results: dict[int, Measured | VideoError] = {}
    with ray_session(options), console.progress("measuring walkers", len(jobs)) as on_video:
        from platform.tuner import in_ray_tasks  # Ray takes seconds, and a wrong manifest needs none of it

        for index, result in in_ray_tasks(jobs, measured_or_error):
            results[index] = result
            on_video(len(results))
    names = videos["video"].to_list()
    if problems := [f"{names[i]} {r.problem}" for i, r in sorted(results.items()) if isinstance(r, VideoError)]:
        raise CohortError(str(manifest), problems, code="cohort.problems")
    found = [one for _, one in sorted(results.items()) if isinstance(one, Measured)]
    keys = keys_of(options.track)
    write_measured(manifest, out, keys, [one.values for one in found])
    qualities = out.with_name(f"{out.stem}-quality.csv")
    write_qualities(qualities, videos["subject"].to_list(), names, found, keys)
    for line in told(names, found, keys):
        console.say(line)
    console.say(f"manifest: {out}")
    console.say(f"qualities: {qualities}")
    return 0


def write_qualities(
    path: Path, subjects: Sequence[str], names: Sequence[str], found: Sequence[Measured], keys: Sequence[str]
) -> None:
    """Writes one row per video and parameter: its quality from 0 to 1, the steps that were counted, and why it is missing."""
    rows = [
        (
            subject,
            name,
            key,
            f"{one.quality[key]:.2f}" if key in one.quality else "",
            one.steps,
            one.missing.get(key, ""),
        )
        for subject, name, one in zip(subjects, names, found, strict=True)
        for key in keys
    ]
    write_rows(path, ("subject", "video", "parameter", "quality", "steps", "missing"), rows)


def told(names: Sequence[str], found: Sequence[Measured], keys: Sequence[str]) -> list[str]:
    """Returns in how many videos each parameter was measured, and why it was not in others."""
    lines = [f"  {key}: {sum(key in one.values for one in found)} of {len(found)} videos" for key in keys]
    reasons: dict[str, list[str]] = {}
    for name, one in zip(names, found, strict=True):
        for reason in dict.fromkeys(one.missing.values()):
            reasons.setdefault(reason, []).append(name)
    for reason, videos in reasons.items():
        lines.append(f"  not measured: {reason} ({', '.join(videos[:NAMED])}{', ...' if len(videos) > NAMED else ''})")
    return lines
