"""Asks whether the place of recording can be read from the videos: a model might then learn it in place of the class."""

import re
from platform.session import Session
from platform.study import Study

from trainables.study.readable import Readable, ReadableRecord
from trainables.study.records import Attribute

PLACE = re.compile(r"site|cent(er|re)|hospital|clinic|camera|scanner|device|room|lab|recorder|country", re.IGNORECASE)
"""Names of attributes that say where or with what people were filmed."""


def places(study: Study) -> list[tuple[str, str]]:
    """Returns (name, column of the cohort) of the attributes that name a place, and of the column that gave the folds."""
    named: list[Attribute] = [a for a in study.cohort.attributes if a.kind == "category" and PLACE.search(a.name)]
    found = [(a.name, a.column) for a in named]
    column = study.record.options.get("fold_column")
    if column and PLACE.search(str(column)) and column not in {name for name, _ in found}:
        found.append((str(column), "fold"))
    return found


def read_places(study: Study, session: Session) -> None:
    """Checks every place, says what was found, and leaves it in the study folder."""
    if not (asked := places(study)):
        return
    from trainables.ray_loop import read_group

    folder, cache = session.place(study)
    window = session.options.reference().video.window
    answers = session.tasks(read_group, ((folder, cache, column, window) for _, column in asked))
    found = []
    for (name, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, str):
            session.console.say(f"{name} in the video features: {answer}")
            continue
        one = Readable(attribute=name, **answer | {key: int(answer[key]) for key in ("subjects", "groups")})
        session.console.say(
            f"{name} in the video features: read with a balanced accuracy of {one.balanced_accuracy:.3f} "
            f"(by chance {one.null_mean:.3f}, up to {one.null_high:.3f}; p = {one.p_value:.3f})"
        )
        found.append(one)
    ReadableRecord(found=tuple(found)).save(study.folder)
