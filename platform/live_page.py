"""`python -m platform.report STUDY --serve`: the report of a running search on 127.0.0.1, written again as folds finish.

No JavaScript: the page asks the browser to load it again. Who has the address with its token sees the page, and nobody else on
the machine: the token is another one each time.
"""

import html
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reports.documents.page import render
from reports.numbers.analysis import analyse
from trainables.errors import ConfigurationError, StridefoldError
from trainables.study.records import StudyRecord

ADDRESS = "127.0.0.1"
RELOAD, REST = 10, 5.0
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LivePage:
    """The page of a study, as of a moment ago."""

    def __init__(self, study: Path, *, reload: float = RELOAD, rest: float = REST):
        """Reads the study once.

        Args:
            reload: seconds after which the browser asks again, while the search is not finished.
            rest: seconds at least between two analyses of the study, however often somebody asks.

        Raises:
            StridefoldError: The folder is not a study, or is damaged.
        """
        self.study, self.reload, self.rest = study, reload, rest
        self._lock = threading.Lock()
        self._state: tuple[int, ...] = ()
        self._made = time.monotonic()
        self._text = self._render()

    def text(self) -> str:
        """Returns the page; it is made again where the study has changed, and not too often."""
        with self._lock:
            if time.monotonic() - self._made >= self.rest and self._state != self._changes():
                try:
                    self._text = self._render()
                except StridefoldError as error:  # a file that is being written, or is gone
                    return self._reloaded(_sentence(f"The study cannot be read now: {error}"))
            return self._text

    def _render(self) -> str:
        self._state = self._changes()
        page = render(analyse(self.study))
        finished = StudyRecord.load(self.study).finished is not None
        self._made = time.monotonic()
        return page if finished else self._reloaded(page)

    def _reloaded(self, page: str) -> str:
        """Returns a page that asks the browser to load it again."""
        return page.replace("<head>", f'<head>\n<meta http-equiv="refresh" content="{self.reload:g}">', 1)

    def _changes(self) -> tuple[int, ...]:
        """Returns when the study's record, its database and its newest fold were written."""
        paths = [self.study / "study.json", self.study / "study.db", self.study / "study.db-wal", self.study / "folds"]
        return tuple(
            path.stat().st_mtime_ns for path in (*paths, *self.study.glob("folds/*/result.json")) if path.exists()
        )


def _sentence(text: str) -> str:
    return f"<!doctype html><html lang='en'><head><title>stridefold</title></head><body><p>{html.escape(text)}</p></body></html>"


@contextmanager
def served(page: LivePage, port: int = 0) -> Iterator[str]:
    """Serves a page while the block runs, and yields its address.

    Args:
        port: 0 takes a free one.

    Raises:
        ConfigurationError: The port is taken.
    """
    token = secrets.token_urlsafe(24)
    try:
        server = ThreadingHTTPServer((ADDRESS, port), _handler(page, token))
    except (OSError, OverflowError) as error:
        raise ConfigurationError(
            f"--port {port} cannot be used ({error}); choose another, or leave it out", code="live.port_taken"
        ) from None
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="live page", daemon=True)
    thread.start()
    try:
        yield f"http://{ADDRESS}:{server.server_port}/{token}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(page: LivePage, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        server_version, sys_version = "stridefold", ""

        def do_GET(self) -> None:
            """Sends the page to who has the token."""
            assert isinstance(self.server, ThreadingHTTPServer)
            port = self.server.server_port
            known = self.headers.get("Host") in (
                f"{ADDRESS}:{port}",
                f"localhost:{port}",
            )  # not another site's name for here
            given = self.path.strip("/").encode()
            if not known or not secrets.compare_digest(given, token.encode()):
                self._send(HTTPStatus.FORBIDDEN, _sentence("Open the whole address that the command has printed."))
                return
            self._send(HTTPStatus.OK, page.text())

        def _send(self, status: HTTPStatus, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Prints nothing: the address holds the token."""

    return Handler
