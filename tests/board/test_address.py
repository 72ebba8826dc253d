from __future__ import annotations

import pytest

from mnist_depth.board.address import parse_address
from mnist_depth.errors import UserError


@pytest.mark.parametrize(
    ("text", "host", "path"),
    [
        ("ann@gpu.example:/data/logs", "ann@gpu.example", "/data/logs"),
        ("gpu:logs", "gpu", "logs"),
        ("gpu:~/my logs", "gpu", "~/my logs"),
        ("gpu:/a:b'c\"$(touch x)`y`;z &", "gpu", "/a:b'c\"$(touch x)`y`;z &"),
        ("gpu", "gpu", ""),
        ("[::1]:/logs", "::1", "/logs"),
        ("ann@[fe80::1%eth0]:/logs", "ann@fe80::1%eth0", "/logs"),
        ("a.b@site@gpu:/logs", "a.b@site@gpu", "/logs"),
    ],
)
def test_host_and_path(text: str, host: str, path: str) -> None:
    assert parse_address(text) == (host, path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":/logs",
        "@gpu:/logs",
        "ann@:/logs",
        "-oProxyCommand=touch pwned:/logs",
        "-lroot@gpu:/logs",
        "ann@-gpu:/logs",
        "$(touch pwned):/logs",
        "gpu`id`:/logs",
        "gpu;id:/logs",
        "g pu:/logs",
        "gpu\n:/logs",
        "gpu\x1b[2J:/logs",
        "[::1/logs",
        "[::1]/logs",
        "gpu:/logs\n/more",
        "gpu:/logs\0",
    ],
)
def test_refused_in_one_line(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_address(text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
