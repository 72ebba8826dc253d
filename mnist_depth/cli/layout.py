"""Text of a given width in a terminal; None is a pipe or a file, which gets one line per fact."""

from __future__ import annotations

GAP = "  "


def cells(text: str) -> int:
    """The columns that a text takes: Korean letters take two."""
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text with spaces behind it, or before it where it is a figure."""
    space = " " * (width - cells(text))
    return space + text if right else text + space


def wrap(text: str, width: int | None, head: str = "") -> list[str]:
    """Lines of at most `width` columns, broken between words; `head` begins the first and indents the others."""
    if width is None:
        return [head + text]
    indent, lines, line = " " * cells(head), [], head
    for word in text.split():
        if line.strip() and line != head and cells(line) + 1 + cells(word) > width:
            lines.append(line)
            line = indent
        line += word if line in (head, indent) else f" {word}"
    return [*lines, line]


def paragraph(text: str, width: int | None, head: str = "") -> str:
    return "\n".join(wrap(text, width, head))
