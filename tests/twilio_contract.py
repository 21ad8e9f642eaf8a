"""The part of the provider's OpenAPI document that tests compare with.

The document is not ours to carry: it lies beside the repository where these tests are developed; elsewhere those tests
that need it are skipped.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[2] / "shared/data/twilio_api_v2010.json"
needs_document = pytest.mark.skipif(not DOCUMENT.exists(), reason="the provider's OpenAPI document is not here")
_MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    found: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return found


@cache
def contract() -> dict[str, Any]:
    """`create`: the form of a new text; `message`: its fields; `page`, `list`: names of fields and parameters."""
    schemas = document()["components"]["schemas"]
    path = document()["paths"][_MESSAGES]

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [resolved(v) for v in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return resolved(schemas[value["$ref"].rpartition("/")[2]])
        return {k: resolved(v) for k, v in value.items()}

    form = path["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    page = path["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    return {
        "create": resolved(form),
        "message": resolved(schemas["api.v2010.account.message"])["properties"],
        "page": set(page["properties"]),
        "list": {p["name"] for p in path["get"]["parameters"]} - {"AccountSid"},
    }
