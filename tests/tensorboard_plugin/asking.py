"""Requests to the routes of the tab."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode


def fetch(url: str, path: str, **parameters: str) -> tuple[int, Any, bytes]:
    """Status, headers and content of one answer."""
    try:
        with urllib.request.urlopen(f"{url}data/plugin/depth/{path}?{urlencode(parameters)}", timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def ask(url: str, path: str, **parameters: str) -> Any:
    """The JSON of one answer."""
    status, _, content = fetch(url, path, **parameters)
    assert status == 200, content[-1000:]
    return json.loads(content)
