"""A schema that the answer must have, for a target that takes it without a name."""

from __future__ import annotations

from typing import Any

from gateway.protocol import ResponseFormat


def named_schema(wanted: ResponseFormat) -> dict[str, Any]:
    """The schema, with the name and the description that the caller gave it as its own title and description."""
    said = {"title": wanted.name, "description": wanted.description}
    return {key: value for key, value in said.items() if value is not None} | (wanted.schema or {})
