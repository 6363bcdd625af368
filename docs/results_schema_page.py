"""Writes the JSON Schema of results.json as a page: a table for each record; hooks.py puts it into the site."""

from collections.abc import Iterator
from typing import Any


def results_schema_page(schema: dict[str, Any]) -> str:
    """Returns the page of a schema: the document first, then its records by name."""
    parts = [
        "# Schema of results.json",
        "",
        "Made from the records that write the file. [As JSON Schema](results.schema.json) (2020-12), or from Python:",
        "",
        "    import json, stridefold",
        "    json.dumps(stridefold.results_schema())",
        "",
        "Every field is there in every file; [results.json](results.md) says which are null when, and how they belong together.",
        "",
        "## The document",
        *_record(schema),
    ]
    for name in sorted(schema["$defs"]):
        parts += [f"## {name}", *_record(schema["$defs"][name])]
    return "\n".join(parts) + "\n"


def _record(record: dict[str, Any]) -> Iterator[str]:
    yield from ("", record["description"], "", "| field | type | what it is |", "|---|---|---|")
    for name, field in record["properties"].items():
        yield f"| `{name}` | {_kind(field)} | {_cell(field.get('description', ''))} |"
    yield ""


def _kind(value: dict[str, Any]) -> str:
    """Returns a type in words, with links to the records that it names."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "anyOf" in value:
        return " or ".join(map(_kind, value["anyOf"]))
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"])
    if "prefixItems" in value:
        return f"({', '.join(map(_kind, value['prefixItems']))})"
    if value.get("items"):
        return f"list of {_kind(value['items'])}"
    if value.get("additionalProperties"):
        return f"object of {_kind(value['additionalProperties'])}"
    return str(value.get("type", "any value")).replace("array", "list")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
