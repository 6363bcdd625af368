"""How a study's JSON files are read: their schema, older ones brought up to it, and dataclasses made of them.

A field may be added within a schema: who does not know it passes over it. A field that goes away or changes its meaning
raises SCHEMA and gets a migration, so that a study on disk is read by every later version.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from trainables.errors import StridefoldError
from trainables.study.files import read_json, write_json

SCHEMA = 2
T = TypeVar("T")


def _note_training_version(study: dict[str, Any]) -> dict[str, Any]:
    """Takes study.json to schema 2: the hash of the source, once an option that decided keys, is information alone."""
    options = dict(study["options"])
    code = options.pop("code", None)
    return study | {"options": options, "training_version": 1, "code": [code] if code else []}


MIGRATIONS: dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    ("study.json", 1): _note_training_version,
}
"""What takes a file of a name from a schema to the next; a file that is not here stays as it is."""


def write_record(path: Path, fields: Mapping[str, Any]) -> None:
    """Writes a record with the schema of this version."""
    write_json(path, {**fields, "schema": SCHEMA})


def read_record(path: Path) -> dict[str, Any]:
    """Returns a record's fields as this version names them, those that it does not know among them.

    Raises:
        StridefoldError: The file is missing, damaged, or of a newer schema.
    """
    record = read_json(path)
    schema = record.pop("schema", None) if isinstance(record, dict) else None
    if type(schema) is not int or schema < 1:
        raise _damaged(path, "it has no schema")
    if schema > SCHEMA:
        raise StridefoldError(
            f"{path} was written by a newer version of stridefold (schema {schema}, but this version reads 1 to {SCHEMA}); "
            "install that version, or begin another study with --study NAME",
            code="study.newer_version",
        )
    try:
        for step in range(schema, SCHEMA):
            if (migrate := MIGRATIONS.get((path.name, step))) is not None:
                record = migrate(record)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"schema {schema} without {error}") from None
    return record


def build(cls: type[T], record: Mapping[str, Any], path: Path, **given: Any) -> T:
    """Returns a dataclass made of plain values; fields that it does not have are passed over.

    Args:
        path: where the record is from, for the message.
        given: fields that come from elsewhere.

    Raises:
        StridefoldError: A field without a default is missing, or is not of its type.
    """
    try:
        return _made(cls, record, given)
    except _Unfit as error:
        raise _damaged(path, str(error)) from None


class _Unfit(Exception):
    """A value is not what its field says."""


def _damaged(path: Path, reason: str) -> StridefoldError:
    return StridefoldError(
        f"{path} is damaged ({reason}); restore it, or begin another study with --study NAME", code="study.file_damaged"
    )


@functools.cache
def _hints(cls: type) -> Mapping[str, Any]:
    return typing.get_type_hints(cls)


def _made(cls: Any, record: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    values = dict(given)
    for field in dataclasses.fields(cls):
        if field.name in values:
            continue
        if field.name in record:
            values[field.name] = _value(record[field.name], _hints(cls)[field.name], field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _Unfit(f"{field.name!r} is missing")
    return cls(**values)


def _value(value: Any, hint: Any, name: str) -> Any:
    """Returns a plain value as its field's type: lists become tuples, objects dataclasses."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _value(value, next(p for p in parts if p is not type(None)), name)
    if origin in (tuple, list):
        kinds = parts[:1] * len(_of_type(value, list, name)) if origin is list or parts[1:] == (...,) else parts
        if len(kinds) != len(_of_type(value, list, name)):
            raise _Unfit(f"{name!r} has {len(value)} entries instead of {len(kinds)}")
        return origin(_value(item, kind, name) for item, kind in zip(value, kinds, strict=True))
    if origin is dict:
        return {key: _value(item, parts[1], name) for key, item in _of_type(value, dict, name).items()}
    if dataclasses.is_dataclass(hint):
        return _made(hint, _of_type(value, dict, name), {})
    if hint is float:
        return _of_type(value, (float, int), name)
    return _of_type(value, hint, name) if isinstance(hint, type) and hint is not Any else value


def _of_type(value: Any, kind: Any, name: str) -> Any:
    if not isinstance(value, kind):
        raise _Unfit(f"{name!r} is {value!r}"[:200])
    return value
