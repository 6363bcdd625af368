"""What libraries change in this process, and how it is left as it was found."""

import faulthandler
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LOGGERS = ("ray", "ray.tune", "ray.train", "ray.data", "optuna", "transformers", "matplotlib")
"""Loggers that commands make quiet: what they say is not for who runs one."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name))
"""Signals for which Ray or a command installs a handler."""


@contextmanager
def as_found(environment: Mapping[str, str] | None = None, quiet: int | None = None) -> Iterator[None]:
    """Puts environment, log levels, warning filters, signal handlers and hooks for crashes back at its end.

    Args:
        environment: variables to be set meanwhile, where they are not set already.
        quiet: level of LOGGERS meanwhile.
    """
    before, levels = dict(os.environ), {name: logging.getLogger(name).level for name in LOGGERS}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    hook, crashes = sys.excepthook, faulthandler.is_enabled()
    try:
        with warnings.catch_warnings():
            for name, value in (environment or {}).items():
                os.environ.setdefault(name, value)
            for name in LOGGERS if quiet is not None else ():
                logging.getLogger(name).setLevel(quiet or 0)
            yield
    finally:
        sys.excepthook = hook
        if faulthandler.is_enabled() and not crashes:
            faulthandler.disable()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        put_back(handlers)
        _restore(before)


def put_back(handlers: "Mapping[int, signal._HANDLER]") -> None:
    """Installs signal handlers again, which the main thread alone may do; one that Python did not install is left out."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _restore(before: Mapping[str, str]) -> None:
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name, value in before.items():
        if os.environ.get(name) != value:
            os.environ[name] = value
