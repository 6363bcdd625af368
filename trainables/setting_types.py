"""Values of settings, checked against the types that the dataclasses declare. Read by every command line: nothing large here."""

import dataclasses
import json
import math
import operator
import re
import types
import typing
from collections.abc import Mapping
from typing import Any

from trainables.errors import ConfigurationError

YES_OR_NO = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


class _Unfit(Exception):
    """The value is not of the type; says what is allowed."""


def settings_of(cls: type) -> Mapping[str, Any]:
    """Returns the declared type of every setting by its dotted name, as {'seed': int, 'text.n_ctx': int, ...}.

    Args:
        cls: a dataclass whose fields are settings, or dataclasses of settings.
    """
    found: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(cls).items():
        if dataclasses.is_dataclass(hint):
            found |= {f"{name}.{leaf}": kind for leaf, kind in typing.get_type_hints(hint).items()}
        else:
            found[name] = hint
    return types.MappingProxyType(found)


def checked(name: str, value: Any, hint: Any) -> Any:
    """Returns a value as the type of its setting; text is read as a person writes it.

    Args:
        name: of the setting, for the message.
        value: of the declared type, or text: true, yes, on or 1 and their opposites; plain numbers as 8, .001 or 1e-4;
            lists as 'a,b' or JSON; 'none' where a setting may be None. Whole numbers may be written as 8.0.
        hint: bool, int, float, str, a Literal, X | None, tuple[X, ...], tuple[X, Y] or dict[str, X].

    Raises:
        ConfigurationError: The value does not fit; says what is allowed.
    """
    try:
        return _fitted(value.strip() if isinstance(value, str) and hint is not str else value, hint)
    except _Unfit as allowed:
        raise ConfigurationError(
            f"{name} is {value!r}, but must be {allowed}{_advice_on_commas(value)}", code="setting.type"
        ) from None


def _fitted(value: Any, hint: Any) -> Any:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return _choice(value, parts)
    if origin in (types.UnionType, typing.Union):
        return _optional(value, parts)
    if origin is tuple:
        return _several(value, parts)
    if origin is dict:
        return _mapping(value, parts[1])
    return {bool: _yes_or_no, int: _whole, float: _number, str: _text}[hint](value)


def _yes_or_no(value: Any) -> bool:
    # numpy's booleans and the integers 0 and 1 say the same in the words of `str`.
    found = YES_OR_NO.get(str(value).lower())
    if found is None:
        raise _Unfit("true or false")
    return found


def _whole(value: Any) -> int:
    allowed = _Unfit("a whole number")
    if isinstance(value, str):
        if not NUMBER.fullmatch(value):
            raise allowed
        value = int(value) if value.lstrip("+-").isdigit() else float(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        if isinstance(value, bool):
            raise allowed
        return operator.index(value)
    except TypeError:
        raise allowed from None


def _number(value: Any) -> float:
    if isinstance(value, str):
        value = float(value) if NUMBER.fullmatch(value) else None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise _Unfit("a number")
    return found


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Unfit("text")
    return value


def _choice(value: Any, choices: tuple[Any, ...]) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    for choice in choices:
        if isinstance(value, str) and value == str(choice):
            return choice
    raise _Unfit(f"one of {', '.join(map(str, choices))}")


def _optional(value: Any, parts: tuple[Any, ...]) -> Any:
    if type(None) in parts and (value is None or value in ("none", "None", "null")):
        return None
    allowed = []
    for part in parts:
        if part is type(None):
            continue
        try:
            return _fitted(value, part)
        except _Unfit as error:
            allowed.append(str(error))
    raise _Unfit(" or ".join([*allowed, *(["none"] if type(None) in parts else [])]))


def _several(value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = (
            _json(value, list) if value.startswith("[") else [part.strip() for part in value.split(",") if part.strip()]
        )
    if not isinstance(value, list | tuple):
        raise _Unfit("a list, as in a,b")
    kinds = (parts[0],) * len(value) if parts[1:] == (...,) else parts
    if len(kinds) != len(value):
        raise _Unfit(f"a list of {len(kinds)}")
    try:
        return tuple(_fitted(item, kind) for item, kind in zip(value, kinds, strict=True))
    except _Unfit as error:
        raise _Unfit(f"a list, each of it {error}") from None


def _mapping(value: Any, kind: Any) -> dict[str, Any]:
    found = _json(value, dict) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise _Unfit('a JSON object, as in {"a": 1}')
    return {str(name): _fitted(item, kind) for name, item in found.items()}


def _json(text: str, kind: type) -> Any:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, kind) else None


def _advice_on_commas(value: Any) -> str:
    """Returns how to write a number that has a comma; '' for anything else."""
    commas = isinstance(value, str) and re.fullmatch(r"\s*[+-]?[\d.]*(,\d+)+(\.\d+)?\s*", value)
    return "; write numbers without commas and with a decimal point, as 0.5 or 1000" if commas else ""
