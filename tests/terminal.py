"""A terminal for tests: a process runs on a real pty, and what it printed is drawn as a screen shows it."""

import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from termios import TIOCSWINSZ

SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78]")


def shown(code: str, *, columns: int = 100) -> list[str]:
    """Returns the lines on the screen after Python has run some code on a terminal, without the empty ones at the end."""
    return draw(printed(code, columns=columns), columns)


def printed(code: str, *, columns: int = 100, rows: int = 40, timeout: float = 120, **environment: str) -> str:
    """Returns everything that Python prints on a terminal while it runs some code, control characters too."""
    parent, child = pty.openpty()
    ioctl(child, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(columns)} | environment
    process = subprocess.Popen([sys.executable, "-c", code], stdin=child, stdout=child, stderr=child, env=environment)
    os.close(child)
    found = b""
    try:
        while part := os.read(parent, 65536):
            found += part
    except OSError:  # Linux's way to say that the process has closed the terminal
        pass
    os.close(parent)
    process.wait(timeout)
    return found.decode()


def draw(printed: str, columns: int) -> list[str]:
    """Returns the lines that a terminal shows of text with carriage returns, moves of the cursor and erasures."""
    lines: list[list[str]] = [[]]
    row = column = at = 0
    while at < len(printed):
        if found := SEQUENCE.match(printed, at):
            row, column = _obey(lines, row, column, found)
            at = found.end()
            continue
        character, at = printed[at], at + 1
        if character == "\r":
            column = 0
        elif character == "\n":
            row += 1
        elif character >= " ":
            if column == columns:
                row, column = row + 1, 0
            while len(lines) <= row:
                lines.append([])
            line = lines[row]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = character
            column += 1
        while len(lines) <= row:
            lines.append([])
    texts = ["".join(line).rstrip() for line in lines]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _obey(lines: list[list[str]], row: int, column: int, found: re.Match[str]) -> tuple[int, int]:
    count = int(found[1]) if found[1] and found[1].isdigit() else 0
    if found[2] == "A":
        row = max(0, row - max(count, 1))
    elif found[2] == "K" and count == 2:
        lines[row] = []
    elif found[2] == "K" and count == 0:
        del lines[row][column:]
    return row, column
