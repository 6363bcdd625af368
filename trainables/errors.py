"""The errors that a user can act on. Only a command's main() catches them, prints them once and exits non-zero."""


class StridefoldError(Exception):
    """One clear sentence: what is wrong, the value received, what is allowed, the next step."""


class CohortError(StridefoldError):
    """Everything that is wrong with a cohort, one problem a line."""

    def __init__(self, source: str, problems: list[str]):
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{source} has {count}:\n{lines}")


class ConfigurationError(StridefoldError):
    """A setting is outside what is allowed, or does not fit the others."""


class LeakageError(StridefoldError):
    """A subject or a file would stand on both sides of a split."""


class MemoryShortError(StridefoldError):
    """A fold ran out of memory for the first time; trained again, it goes on with micro-batches of half the size."""
