"""Writes the task file of a label that none knows, for a clinician to fill in."""

import json

from trainables.knowledge.tasks import Task

HEAD = """\
# Clinical knowledge about the classes of column {label}: the classes stand below as they were found, and what medicine
# says about each is for you to write. No programming is needed; an editor for plain text is.
#
#   1. Read `name` of each class: the group in words, as the model reads it. 'knee osteoarthritis' says more than 'KOA'.
#   2. keywords  two to four short phrases for what is seen in this group's walk, in everyday words, each in quotes and
#                with a comma between them: ["short steps", "stooped trunk"]. They stand in the prompt before the name;
#                together with it they should stay under about 20 words.
#   3. notion    between the triple quotes, a paragraph of 100 to 230 words: what a clinician would see or measure in
#                this group's walk. Write one for every class, or for none.
#   4. sources   the publication behind each statement, as "statement: authors. journal year;volume:pages".
#   5. A class may have more descriptions (those of the shipped tasks have five): copy everything from its
#      [[class.description]] to its sources. The texts of a class are averaged.
#   6. `healthy` is the value of the healthy class, on whose subjects the gait parameters are centred; take the line
#      away where there is none.
#   7. `ordinal = true` means that the order of the classes below is an order of severity.
#
# Then: {command}
"""
CLASS = """
[[class]]
value = {value}
name = {name}

[[class.description]]
keywords = []
notion = \"\"\"
\"\"\"
sources = []
"""


def task_file(task: Task, command: str) -> str:
    """Returns a task file with the task's classes, and empty places for what is known of them.

    Args:
        command: How the filled file is used.
    """
    settings: dict[str, str | bool] = {
        "name": task.name,
        "title": task.title,
        "label": task.label,
        "ordinal": task.ordinal,
    }
    lines = [f"{name} = {_quoted(value)}" for name, value in settings.items()]
    lines.append(f"healthy = {_quoted(task.healthy)}" if task.healthy is not None else '# healthy = "..."')
    classes = [CLASS.format(value=_quoted(c.value), name=_quoted(c.name)) for c in task.classes]
    return HEAD.format(label=_quoted(task.label), command=command) + "\n" + "\n".join(lines) + "\n" + "".join(classes)


def _quoted(value: str | bool) -> str:
    """Returns a TOML value, which for these two kinds is written as in JSON."""
    return json.dumps(value, ensure_ascii=False)
