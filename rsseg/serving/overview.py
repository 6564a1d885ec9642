"""The page of the interface for programs, made from its own description; it needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsseg.reports.markup import render

__all__ = ["overview"]

_METHODS = ("get", "post", "put", "patch", "delete")


def overview(description: Mapping[str, Any]) -> str:
    """An HTML page that lists every route with its parameters, its body and its answers.

    Args:
        description: The OpenAPI document.
    """
    about = description["info"]
    routes = [
        _route(path, method, routes[method], description)
        for path, routes in description["paths"].items()
        for method in _METHODS
        if method in routes
    ]
    return render(
        "interface.html",
        title=about["title"],
        version=about["version"],
        about=about.get("description", ""),
        routes=routes,
        data={},
    )


def _route(path: str, method: str, route: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    fields = [
        _field(part["name"], part["in"], part.get("schema", {}), part.get("required", False), description)
        for part in route.get("parameters", ())
    ]
    for body in route.get("requestBody", {}).get("content", {}).values():
        schema = _resolved(body.get("schema", {}), description)
        needed = schema.get("required", ())
        for name, part in schema.get("properties", {}).items():
            fields.append(_field(name, "body", part, name in needed, description))
    return {
        "method": method.upper(),
        "path": path,
        "about": route.get("description") or route.get("summary", ""),
        "fields": fields,
        "answers": [(code, answer.get("description", "")) for code, answer in route["responses"].items()],
    }


def _field(
    name: str, where: str, schema: Mapping[str, Any], needed: bool, description: Mapping[str, Any]
) -> dict[str, Any]:
    kind = _kind(_resolved(schema, description))
    return {"name": name, "where": where, "kind": kind, "needed": needed, "about": schema.get("description", "")}


def _resolved(schema: Mapping[str, Any], description: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return description["components"]["schemas"][name] if name else schema


def _kind(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(_kind(part) for part in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", schema.get("title", "object")))
