"""Prints the page to a PDF with a Chromium of this machine, where there is one."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from trainables.study.files import write_atomic

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SECONDS = 60.0
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm is often too small
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever still asks for an address, a number too, is told that there is none
    "--no-pdf-header-footer",
)
DATE = re.compile(rb"/(?:CreationDate|ModDate) \(D:\d{14}[^()]{0,8}\)")


def write_pdf(page: Path, *, seconds: float = SECONDS) -> Path | None:
    """Prints report.html to report.pdf beside it and returns that path; None where it could not be printed.

    The PDF is an extra, so that no Chromium, one that fails and one that is too slow are no errors; a report.pdf of before
    then stays as it was. Chromium starts with an empty profile and without a way into the network. Its PDF would
    tell when it was printed; the two dates are blanked, so that the same page, Chromium and fonts give the same bytes.

    Args:
        page: The page, a file.
        seconds: Time that Chromium may take; then it is killed with all its processes.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None or not page.is_file():  # of a page that is missing Chromium would print an error message
        return None
    target = page.with_suffix(".pdf")
    try:
        with tempfile.TemporaryDirectory(prefix="stridefold-", ignore_cleanup_errors=True) as scratch:
            content = _undated(_printed(browser, page, Path(scratch), seconds))
            if not _whole(content):
                return None
            write_atomic(target, lambda file: file.write(content))
    except OSError:
        return None
    return target


def _printed(browser: str, page: Path, scratch: Path, seconds: float) -> bytes:
    """Returns what Chromium printed; nothing where it failed or was too slow.

    Raises:
        OSError: Chromium cannot be started, or left no file.
    """
    root = ("--no-sandbox",) if os.geteuid() == 0 else ()  # as root Chromium does not start in its sandbox
    places = (f"--user-data-dir={scratch / 'profile'}", f"--print-to-pdf={scratch / 'page.pdf'}")
    process = subprocess.Popen(
        [browser, *FLAGS, *root, *places, page.resolve().as_uri()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | dict.fromkeys(("TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), str(scratch)),
        start_new_session=True,
    )
    try:
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        if process.returncode is None:  # too slow, or interrupted: its children must not outlive it
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return (scratch / "page.pdf").read_bytes() if status == 0 else b""


def _whole(content: bytes) -> bool:
    return content.startswith(b"%PDF-") and content.rstrip().endswith(b"%%EOF")


def _undated(content: bytes) -> bytes:
    """Returns a PDF with blanks in place of its dates, which keep every later byte where the PDF's own index has it."""
    return DATE.sub(lambda found: b" " * len(found[0]), content, count=2)
