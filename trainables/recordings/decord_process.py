"""Runs decord in a process of its own, which may crash: `python decord_process.py VIDEO` writes its frames to standard output.

First comes the number of frames, then for each its height, width and channels, 32-bit integers of this machine, and its bytes.
"""

import os
import sys

import numpy as np


def main(path: str) -> None:
    """Writes the frames; ends with a message and status 1 where decord fails."""
    # decord prints what it likes; what it prints must not get among the frames.
    with os.fdopen(os.dup(1), "wb") as frames:
        os.dup2(2, 1)
        import decord

        decord.logging.set_level(decord.logging.QUIET)
        try:
            reader = decord.VideoReader(path, num_threads=1)
            frames.write(np.int32(len(reader)).tobytes())
            for _ in range(len(reader)):
                image = reader.next().asnumpy()
                frames.write(np.array(image.shape, dtype=np.int32).tobytes())
                frames.write(np.ascontiguousarray(image).data)
        except (RuntimeError, StopIteration, decord.DECORDError) as error:
            sys.exit(f"{error}")


if __name__ == "__main__":
    main(sys.argv[1])
