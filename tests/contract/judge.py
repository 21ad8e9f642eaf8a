"""Judges recorded exchanges by the provider's OpenAPI document.  Runs in an environment of its own: `./dev contract`.

    python judge.py DOCUMENT <RECORDING

One JSON line in (see recorder.py), one JSON list out: what is wrong with that exchange, [] when nothing is.
openapi-core does not look at keys that the document does not name, so that forms and queries are compared here.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from urllib.parse import parse_qsl

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

_HOST = "https://api.twilio.com"
_FORM = "application/x-www-form-urlencoded"
_FILE = re.compile(r".*/Media/[^/.]+")  # the document has the resource only; without ".json" it redirects to the file


class Judge:
    def __init__(self, document: dict) -> None:
        self._api = OpenAPI.from_dict(document)
        self._paths = [
            (re.compile(re.sub(r"\{\w+\}", r"[^/]+", path)), item) for path, item in document["paths"].items()
        ]

    def judge(self, exchange: dict) -> list[str]:
        """What is wrong with the request and with the answer."""
        is_file = exchange["method"] == "GET" and bool(_FILE.fullmatch(exchange["path"]))
        path = exchange["path"] + (".json" if is_file else "")
        request = MockRequest(
            _HOST,
            exchange["method"].lower(),
            path,
            args=dict(parse_qsl(exchange["query"], keep_blank_values=True)),
            headers={"Authorization": exchange["login"]} if exchange["login"] else {},
            data=exchange["body"].encode(),
            content_type=exchange["kind"] or _FORM,
        )
        wrong = self._unknown(exchange, path)
        try:
            self._api.validate_request(request)
            if not (is_file and exchange["status"] in (302, 307) and exchange["location"]):
                answer = MockResponse(
                    exchange["answer"].encode(),
                    exchange["status"],
                    content_type=exchange["answer_kind"] or "application/json",
                )
                self._api.validate_response(request, answer)
        except OpenAPIError as error:
            wrong.append(_words(error))
        return wrong

    def _unknown(self, exchange: dict, path: str) -> list[str]:
        item = next((item for pattern, item in self._paths if pattern.fullmatch(path)), {})
        operation = item.get(exchange["method"].lower(), {})
        schema = operation.get("requestBody", {}).get("content", {}).get(_FORM, {}).get("schema", {})
        form = {name for name, _ in parse_qsl(exchange["body"], keep_blank_values=True)} if exchange["body"] else set()
        query = {name for name, _ in parse_qsl(exchange["query"], keep_blank_values=True)}
        known = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        wrong = [f"the document has no form key {name}" for name in sorted(form - set(schema.get("properties", {})))]
        return wrong + [f"the document has no parameter {name}" for name in sorted(query - known)]


def _words(error: BaseException | None) -> str:
    """The error with what led to it: the reason stands at the end of the chain."""
    told = []
    while error is not None:
        told.append(f"{type(error).__name__}: {error}")
        error = error.__cause__
    return "; ".join(told)


def main() -> None:
    judge = Judge(json.loads(Path(sys.argv[1]).read_text()))
    for line in sys.stdin:
        print(json.dumps(judge.judge(json.loads(line))))


if __name__ == "__main__":
    main()
