"""The errors that a user can act on. Only a command's main() catches them, prints them once and exits non-zero."""


class StridefoldError(Exception):
    """One clear sentence: what is wrong, the value received, what is allowed, the next step.

    `code` is short and stays the same when the sentence is reworded: 'cohort.path.outside'. docs/errors.md lists them all.
    """

    def __init__(self, message: str, *, code: str = ""):
        """Takes the sentence, and the code that it is known by."""
        self.code = code
        super().__init__(message)


class CohortError(StridefoldError):
    """Everything that is wrong with a cohort, one problem a line."""

    def __init__(self, source: str, problems: list[str], count: int | None = None, *, code: str = "cohort.problems"):
        """Takes the lines to be shown, and how many problems there are if some lines stand for several."""
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = len(problems) if count is None else count
        super().__init__(f"{source} has {'1 problem' if count == 1 else f'{count} problems'}:\n{lines}", code=code)


class ConfigurationError(StridefoldError):
    """A setting is outside what is allowed, or does not fit the others."""


class LeakageError(StridefoldError):
    """A subject or a file would stand on both sides of a split."""


class MemoryShortError(StridefoldError):
    """A fold ran out of memory for the first time; trained again, it goes on with micro-batches of half the size."""


def first_line(error: BaseException) -> str:
    """Returns the first line of what another program's error says, or its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
