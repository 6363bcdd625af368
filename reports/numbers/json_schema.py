"""The JSON Schema of results.json, made from the records that the file is written from."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from reports.numbers.as_json import FORMS, Form
from reports.numbers.results_document import RESULTS_SCHEMA, ResultsDocument

DRAFT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def results_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of results.json: every field with its type and what it is.

    Every field is required; one that has nothing to say yet is null. More fields may come within a schema, so objects are open.
    """
    made = _Schema()
    document = made.object_of(ResultsDocument)
    document["properties"]["schema"] = {"const": RESULTS_SCHEMA} | document["properties"]["schema"]
    return {"$schema": DRAFT, "title": f"results.json, schema {RESULTS_SCHEMA}"} | document | {"$defs": made.records}


class _Schema:
    """Collects the records that a schema refers to."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self._types: dict[str, type] = {}

    def object_of(self, record: type) -> dict[str, Any]:
        """Returns the schema of a record's JSON object."""
        form, hints = FORMS.get(record, Form()), typing.get_type_hints(record)
        names = {f.name: f.name for f in dataclasses.fields(record) if f.name not in form.without} | form.derived
        said = field_docstrings(record)
        properties = {}
        for name, attribute in names.items():
            if attribute in hints:
                hint, words = hints[attribute], said.get(attribute, "")
            else:
                hint, words = _computed(getattr(record, attribute))
            properties[name] = self.of(hint) | ({"description": words} if words else {})
        summary = (record.__doc__ or "").split("\n\n")[0]
        return {"description": summary, "type": "object", "properties": properties, "required": list(properties)}

    def of(self, hint: Any) -> dict[str, Any]:
        """Returns the schema of a value of a type."""
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if hint is Any:
            return {}
        if hint in PLAIN:
            return {"type": PLAIN[hint]}
        if dataclasses.is_dataclass(hint):
            return self._reference(typing.cast("type", hint))
        if origin in (typing.Union, types.UnionType):
            return {"anyOf": [self.of(one) for one in arguments]}
        if origin is typing.Literal:
            return {"enum": list(arguments)}
        if origin is tuple and arguments[-1] is not ...:
            kinds = [self.of(one) for one in arguments]
            return {"type": "array", "prefixItems": kinds, "minItems": len(kinds), "maxItems": len(kinds)}
        if origin in (tuple, list):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is np.ndarray:
            return {"type": "array"}
        if hint is pl.DataFrame:
            return {"type": "array", "items": {"type": "object"}}
        raise TypeError(f"results.json has no form for {hint}; say in json_schema.py what it is as JSON")

    def _reference(self, record: type) -> dict[str, Any]:
        name = record.__name__
        if self._types.setdefault(name, record) is not record:
            raise TypeError(f"results.json has two records called {name}: {self._types[name]} and {record}")
        if name not in self.records:
            self.records[name] = {}  # a record may hold itself
            self.records[name] = self.object_of(record)
        return {"$ref": f"#/$defs/{name}"}


def _computed(attribute: Any) -> tuple[Any, str]:
    """Returns the type of what a property or method gives, and the first sentence of what it says of itself."""
    function = attribute.fget if isinstance(attribute, property) else attribute
    sentence = (function.__doc__ or "").split("\n\n")[0].removeprefix("Returns ")
    return typing.get_type_hints(function)["return"], sentence[:1].upper() + sentence[1:]


def field_docstrings(record: type) -> dict[str, str]:
    """Returns the docstring of each field of a dataclass and its bases; empty if their source is not available."""
    found: dict[str, str] = {}
    for cls in reversed(record.__mro__[:-1]):
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):
            continue
        (body,) = (node.body for node in ast.parse(textwrap.dedent(source)).body if isinstance(node, ast.ClassDef))
        for field, text in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = inspect.cleandoc(ast.literal_eval(text.value))
    return found
