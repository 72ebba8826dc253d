"""The bricks of a self-contained HTML page: escaping, tables, figures, and one style sheet for dark and light.

The page loads nothing: its content security policy forbids every request and every script.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from mnist_depth.results.rendering import Picture, inline_svg
from mnist_depth.results.tables import Table

STYLE = """
:root { color-scheme: light dark; --paper: #fdfefe; --ink: #1b1f24; --muted: #57606a; --grid: #c9ced7; --panel: #f3f5f8;
  --good: #0b6e4f; --bad: #a8320f; --open: #6b5300; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --ink: #e6e9ee; --muted: #a3abb8; --grid: #3a414c;
  --panel: #1d2229; --good: #5cd6ac; --bad: #ff9b7a; --open: #e8c95a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .8rem; border-bottom: 1px solid var(--grid); padding-bottom: .3rem; }
h3 { font-size: 1rem; margin: 0; display: inline; overflow-wrap: anywhere; }
p, li { max-width: 48rem; overflow-wrap: anywhere; }
.question { font-size: 1.15rem; }
.muted { color: var(--muted); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--grid); white-space: nowrap;
  vertical-align: top; }
td.prose { white-space: normal; min-width: 18rem; }
thead th { color: var(--muted); font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; min-width: 0; }
figure.wide { grid-column: 1 / -1; overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; color: var(--ink); }
figure.wide svg { min-width: 40rem; max-width: 60rem; }
figcaption { color: var(--muted); font-size: .85rem; margin-top: .3rem; }
.verdict { font-weight: 700; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
details { background: var(--panel); border-radius: .4rem; padding: .6rem .9rem; margin: .6rem 0; }
summary { cursor: pointer; }
pre { background: var(--panel); border-radius: .4rem; padding: .7rem .9rem; overflow-x: auto; font-size: .85rem;
  margin: .4rem 0; }
a { color: inherit; }
@media print { main { max-width: none; padding: 0; } h2, h3 { break-after: avoid; } figure, tr { break-inside: avoid; }
  .scroll, figure.wide { overflow: visible; } figure.wide svg { min-width: 0; } table { font-size: .75rem; }
  th, td { white-space: normal; padding-right: .5rem; } td.prose { min-width: 0; }
  .figures { grid-template-columns: 1fr 1fr; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  details::details-content { content-visibility: visible; display: block; height: auto; } }
"""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

GOOD = ("reproduced", "healthy", "finished")
OPEN = ("not tested", "unfinished")


def page(title: str, parts: Iterable[str]) -> str:
    """A whole document."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style></head>",
            "<body><main>",
            *parts,
            "</main></body></html>",
            "",
        ]
    )


def section(heading: str, *parts: str) -> str:
    """A heading and what stands under it; nothing at all where nothing does."""
    body = "\n".join(part for part in parts if part)
    return f"<section><h2>{escape(heading)}</h2>\n{body}</section>" if body else ""


def paragraph(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escape(text)}</p>' if text else ""


def bullets(lines: Iterable[str], *, numbered: bool = False) -> str:
    """A list of plain texts."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    tag = "ol" if numbered else "ul"
    return f"<{tag}>{items}</{tag}>" if items else ""


def table(content: Table, *, verdicts: Sequence[int] = (), prose: Sequence[int] = ()) -> str:
    """A table that scrolls by itself where the page is narrow; `verdicts` and `prose` number such columns."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in content.header)
    rows = "".join(
        f"<tr>{''.join(_cell(i, text, verdicts, prose) for i, text in enumerate(row))}</tr>" for row in content.rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(index: int, text: str, verdicts: Sequence[int], prose: Sequence[int]) -> str:
    if index == 0:
        return f'<th scope="row">{escape(text)}</th>'
    body = verdict(text) if index in verdicts else escape(text)
    return f'<td class="prose">{body}</td>' if index in prose else f"<td>{body}</td>"


def verdict(text: str) -> str:
    """A verdict, in words first; the color only repeats them."""
    known = text.partition(" (")[0]
    kind = "good" if known in GOOD else "open" if known in OPEN else "bad"
    return f'<span class="verdict {kind}">{escape(text)}</span>'


def figures(pictures: Iterable[Picture], beside: str) -> str:
    """Figures side by side where there is room; their files stand in `beside`."""
    items = "".join(_figure(picture, beside) for picture in pictures)
    return f'<div class="figures">{items}</div>' if items else ""


def _figure(picture: Picture, beside: str) -> str:
    file = escape(f"{beside}figures/{picture.name}")
    links = " · ".join(f'<a href="{file}.{suffix}">{suffix.upper()}</a>' for suffix in ("png", "svg", "pdf"))
    kind = ' class="wide"' if picture.wide else ""
    caption = f"<figcaption>{escape(picture.caption)} ({links})</figcaption>"
    return f"<figure{kind}>{inline_svg(picture)}{caption}</figure>"


def details(heading: str, *parts: str, opened: bool = False) -> str:
    """A part that can be folded away."""
    body = "\n".join(part for part in parts if part)
    flag = " open" if opened else ""
    return f"<details{flag}><summary><h3>{escape(heading)}</h3></summary>\n{body}</details>"


def code(text: str) -> str:
    return f"<pre><code>{escape(text)}</code></pre>"
