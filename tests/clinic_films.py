"""Small cohorts as a clinic films them: simulated walkers who cross a wide picture, one video for each direction."""

from pathlib import Path

from experiments.corridor import Film, crossing, cut_out, write


def film(folder: Path, prefix: str, subjects: range, *, ending: str = "") -> Path:
    """Writes a film to the right and one to the left of each subject, and returns their manifest.

    Args:
        prefix: Of the subjects' names, which their seeds end.
        ending: Of the videos' names, before .mp4.
    """
    folder.mkdir()
    lines = ["subject,video,side"]
    for seed in subjects:
        for side, facing in (("right", 1), ("left", -1)):
            made = crossing(cut_out(seed, facing=facing, seconds=3.5), Film(width=320, height=180, seed=seed))
            name = f"{seed}-{side}{ending}.mp4"
            write(folder / name, [frame for frame, _ in made])
            lines.append(f"{prefix}{seed},{name},{side}")
    (folder / "cohort.csv").write_text("\n".join(lines) + "\n")
    return folder / "cohort.csv"
