"""The documentation of the routes as a page that needs no network: made of the OpenAPI schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any


def docs_page(schema: Mapping[str, Any]) -> str:
    """Return the page."""
    title = escape(f"{schema['info']['title']} {schema['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"></head><body>'
        f"<h1>{title}</h1><p>{escape(schema['info']['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{''.join(_routes(schema))}</body></html>"
    )


def _routes(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, operations in schema["paths"].items():
        for method, about in operations.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(about.get('description', ''))}</p>"
            parameters = about.get("parameters", ())
            if parameters:
                yield "<ul>" + "".join(map(_parameter, parameters)) + "</ul>"
            for kind, content in about.get("requestBody", {}).get("content", {}).items():
                yield _shape(f"Body, {kind}", content["schema"], schema)
            for status, answer in about["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    if "schema" in content and status[0] == "2":
                        yield _shape(f"Answer {status}, {kind}", content["schema"], schema)


def _parameter(about: Mapping[str, Any]) -> str:
    default = about["schema"].get("default")
    ending = "" if default in (None, "") else f" (default: {default})"
    told = f"{about.get('description', '')}{ending}".strip()
    named = f"<code>{escape(about['name'])}</code> in the {escape(about['in'])}"
    return f"<li>{named}{': ' if told else ''}{escape(told)}</li>"


def _shape(title: str, shape: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    name = shape.get("$ref", shape.get("items", {}).get("$ref", "")).rpartition("/")[2]
    whole = schema.get("components", {}).get("schemas", {}).get(name, shape)
    several = "a list of " if "items" in shape and name else ""
    written = escape(json.dumps(whole, indent=2, ensure_ascii=False))
    return f"<details><summary>{escape(title)}: {several}{escape(name)}</summary><pre>{written}</pre></details>"
