"""Progress of runs, read from their folders: bars in a terminal and in a notebook, plain lines elsewhere."""

from __future__ import annotations

import _thread
import contextlib
import functools
import io
import json
import shutil
import signal
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mnist_depth import records
from mnist_depth.errors import UserError
from mnist_depth.files import read_json
from mnist_depth.plan import Plan
from mnist_depth.runtime import streams
from mnist_depth.runtime.notebook import in_notebook
from mnist_depth.translation import plural
from mnist_depth.translation import translate as _

POLL_SECONDS = 0.5

MAX_BARS = 8
"""With more runs than this, finished runs lose their bar."""

MIN_BAR_WIDTH = 90
"""Columns of a terminal from which on progress has bars beside its figures."""

NOTEBOOK_WIDTH = 110
"""Characters in a line of a notebook's progress."""


class Progress(NamedTuple):
    """How far a run is: epochs done and planned, and its last scores."""

    epoch: float
    epochs: int
    scores: dict[str, float]


def read(folder: Path) -> Progress | None:
    """How far a run is; None before it has begun."""
    try:
        record = read_json(folder / records.CONFIG)
        config, sizes = record["config"], record["dataset"]["sizes"]
        epochs = int(config["epochs"])
        steps_per_epoch = Plan(sizes["train"], config["batch_size"], epochs).steps_per_epoch
    except (UserError, KeyError, TypeError, ValueError, ArithmeticError):
        return None
    step, scores = _last_scores(folder / records.METRICS)
    return Progress(min(epochs, step / steps_per_epoch), epochs, scores)


def _last_scores(path: Path, tail: int = 65_536) -> tuple[int, dict[str, float]]:
    """The last step on disk, and the last loss and test accuracy."""
    scores: dict[str, float] = {}
    step = 0
    with contextlib.suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - tail))
        for text in file:
            with contextlib.suppress(ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
                line: dict[str, Any] = json.loads(text)
                if line["run"] == "train":
                    step = max(step, int(line["step"]))
                if "accuracy" in line["scalars"]:
                    scores[f"{line['run']} accuracy"] = float(line["scalars"]["accuracy"])
                    scores[f"{line['run']} loss"] = float(line["scalars"]["loss"])
    return step, scores


def scores_text(scores: dict[str, float]) -> str:
    """`train loss 0.0421  test 97.12%`; the validation split where there is no test yet, as in a search."""
    split = next((name for name in ("test", "validation") if f"{name} accuracy" in scores), None)
    if "train loss" not in scores or split is None:
        return ""
    accuracy = scores[f"{split} accuracy"]
    return _(
        "train loss {loss:.4f}  {split} {accuracy:.2%}", loss=scores["train loss"], split=_(split), accuracy=accuracy
    )


@contextlib.contextmanager
def activity(words: str) -> Iterator[None]:
    """Show what the program is doing until the block ends; nothing where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{words} ..."):
        yield


@contextlib.contextmanager
def watch(folders: Sequence[Path]) -> Iterator[None]:
    """Show the progress of these run folders until the block ends."""
    done = threading.Event()
    plain = functools.partial(_plain, before={folder: read(folder) for folder in folders})
    show = _in_terminal if sys.stdout.isatty() else _in_notebook if in_notebook() else plain
    thread = threading.Thread(target=_while_read, args=(show, folders, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _while_read(show: Callable[[Sequence[Path], threading.Event], None], folders: Sequence[Path], done: Any) -> None:
    """Show progress while standard output can be written; a closed pipe asks the runs to stop.

    Any other failure of standard output, such as a full disk, is reported by the final output.
    """
    try:
        show(folders, done)
    except BrokenPipeError:
        streams.discard(sys.stderr)  # silently, like any command whose output pipe is closed
        _thread.interrupt_main(signal.SIGTERM)
    except OSError:
        pass


def name_of(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def short_names(folders: Sequence[Path]) -> dict[Path, str]:
    """Short labels for bars in a narrow terminal: the slug without the parts that all slugs share.

    >>> list(short_names([Path("mnist-d09-relu-sgd0.1/seed_0"), Path("mnist-d09-tanh-sgd0.1/seed_0")]).values())
    ['relu', 'tanh']
    """
    words = {folder: [*folder.parent.name.split("-"), folder.name] for folder in folders}
    shared = set.intersection(*map(set, words.values()))
    own = {folder: [word for word in found if word not in shared] for folder, found in words.items()}
    return {folder: "-".join(telling) or folder.parent.name for folder, telling in own.items()}


def _plain(folders: Sequence[Path], done: threading.Event, before: Mapping[Path, Progress | None]) -> None:
    """One line when a run begins or resumes and one when it ends."""
    begun: set[Path] = set()
    ended: set[Path] = set()
    last_look = False
    while not last_look:
        last_look = done.wait(POLL_SECONDS)
        for folder in folders:
            if folder not in begun and (found := read(folder)) not in (None, before[folder]):
                begun.add(folder)
                print(_begin_text(folder, before[folder], found), flush=True)
            if folder not in ended and (folder / records.DONE).exists():
                ended.add(folder)
                found = read(folder)
                scores = scores_text(found.scores) if found else ""
                text = _("finished  {name}  {scores}", name=name_of(folder), scores=scores)
                print(f"{text}  [{len(ended)}/{len(folders)}]", flush=True)


def _begin_text(folder: Path, before: Progress | None, now: Progress) -> str:
    """That a run has started, or from which epoch it resumes: its last points are cut back to the checkpoint."""
    epoch = int(min(before.epoch, now.epoch)) if before else 0
    if not epoch:
        return _("started   {name}", name=name_of(folder))
    return _("resumed   {name}  at epoch {epoch} of {epochs}", name=name_of(folder), epoch=epoch, epochs=now.epochs)


class _Bars:
    """A bar per run under way, and one for all of them with the time left."""

    def __init__(self, folders: Sequence[Path]) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text

        class Remaining(TimeRemainingColumn):
            """The time left, nothing while it is unknown."""

            def render(self, task: Any) -> Text:
                return super().render(task) if task.time_remaining is not None else Text("")

        columns = (TextColumn("{task.description}"), TextColumn("{task.fields[text]}"), Remaining())
        bar = (BarColumn(bar_width=12),) if shutil.get_terminal_size().columns >= MIN_BAR_WIDTH else ()
        self.rich = Progress(columns[0], *bar, *columns[1:], refresh_per_second=4)
        self._folders, self._names = folders, short_names(folders)
        title = plural("{count} run", "{count} runs", len(folders))
        self._total = self.rich.add_task(title, total=float(len(folders)), text=_("starting"))
        self._tasks: dict[Path, Any] = {}

    def look(self) -> None:
        """Read the folders and update the bars."""
        share = 0.0
        ended = {folder for folder in self._folders if (folder / records.DONE).exists()}
        for folder in self._folders:
            found = read(folder)
            if found is None:
                continue
            share += found.epoch / found.epochs
            if folder not in self._tasks:
                self._tasks[folder] = self.rich.add_task(self._names[folder], total=float(found.epochs), text="")
            shown = len(self._folders) <= MAX_BARS or folder not in ended
            self.rich.update(self._tasks[folder], completed=found.epoch, text=_text(found), visible=shown)
        if self._tasks:
            text = _("{ended}/{count} finished", ended=len(ended), count=len(self._folders))
            self.rich.update(self._total, completed=share, text=text if share else _("compiling the networks"))


def _text(found: Progress) -> str:
    if not found.epoch:
        return _("compiling")
    return f"{found.epoch:.0f}/{found.epochs}  {scores_text(found.scores)}"


def _in_terminal(folders: Sequence[Path], done: threading.Event) -> None:
    bars = _Bars(folders)
    with bars.rich:
        while not done.wait(POLL_SECONDS):
            bars.look()
        bars.look()


def _in_notebook(folders: Sequence[Path], done: threading.Event) -> None:
    """The bars as HTML that is replaced in place; no widgets, which not every notebook front end can show."""
    from IPython.display import HTML, display, update_display

    bars, name = _Bars(folders), f"progress-{uuid.uuid4().hex}"
    display(HTML(""), display_id=name)

    def show() -> None:
        bars.look()
        update_display(HTML(_html(bars.rich)), display_id=name)

    while not done.wait(POLL_SECONDS):
        show()
    show()


def _html(renderable: Any) -> str:
    """What rich would print in a terminal, as HTML."""
    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=NOTEBOOK_WIDTH, force_jupyter=False)
    console.print(renderable)
    return console.export_html(inline_styles=True, code_format="<pre style='line-height:normal'>{code}</pre>")
