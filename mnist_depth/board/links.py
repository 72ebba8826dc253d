"""Addresses that open a board on the answer."""

from __future__ import annotations

from urllib.parse import quote

PORT = 6006


def local(port: int = PORT) -> str:
    """Where a board answers unless the port is taken; it prints the real address."""
    return f"http://127.0.0.1:{port}/"


def depth_tab(words: str = "", board: str = local(), **choices: str) -> str:
    """The address of the Depth tab with the trainings that match a filter; `choices` are its other settings.

    >>> depth_tab("study=depth9", view="map")
    'http://127.0.0.1:6006/#depth&filter=study%3Ddepth9&view=map'
    """
    settings = {"filter": words, **choices}
    return f"{board}#" + "&".join(
        ["depth", *(f"{name}={quote(value, safe='')}" for name, value in settings.items() if value)]
    )
