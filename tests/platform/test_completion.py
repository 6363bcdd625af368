"""The shell's completion, asked of a real bash and a real parser."""

import shutil
import subprocess
import sys
from platform.__main__ import COMMANDS
from platform.completion import stridefold

import pytest


def complete(*words: str) -> set[str]:
    """Returns what bash proposes for the last word."""
    script = subprocess.run([sys.executable, "-m", "platform.completion", "bash"], capture_output=True, text=True, check=True)  # fmt: skip
    ask = f"""{script.stdout}
COMP_WORDS=({" ".join(words)!s} ''); COMP_CWORD={len(words) - 1}
_shtab_stridefold; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_commands_options_and_choices():
    """A command by its beginning, an option of that command alone, and the choices of an option."""
    assert complete("stridefold", "se") == {"search"}
    assert complete("stridefold", "search", "--sampler") == {"--sampler", "--sampler-seed"}
    assert {"--config", "--dry-run", "--no-plain"} <= complete("stridefold", "search", "--")
    assert complete("stridefold", "search", "--sampler", "t") == {"tpe"}
    assert "--filmstrips" not in complete("stridefold", "search", "--")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_takes_the_script():
    """After compinit, zsh completes the command by a function of the script."""
    ask = f'autoload -Uz compinit; compinit -D; eval "$({sys.executable} -m platform.completion zsh)"; print -r -- $_comps[stridefold]'
    done = subprocess.run(["zsh", "-fc", ask], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), done.stderr) == ("_shtab_stridefold", "")


def test_every_command_is_known():
    """Each command that `python -m platform` lists is completed."""
    (commands,) = stridefold()._get_positional_actions()
    assert list(commands.choices) == list(COMMANDS)
