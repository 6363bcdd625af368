"""How a video is stored: codec, size and frame rate, from the head of its file."""

from pathlib import Path

from trainables.recordings.containers import opened


def stored_as(path: Path) -> str:
    """Returns 'h264 1920 x 1080, 29.97 frames/s': the codec, the stored size in pixels, and the mean frame rate.

    Raises:
        VideoError: The file cannot be opened, or holds no video.
    """
    with opened(path) as (_, stream):
        rate = stream.average_rate or stream.base_rate
        fps = f", {round(float(rate), 2):g} frames/s" if rate else ""
        return f"{stream.codec_context.name} {stream.width} x {stream.height}{fps}"
