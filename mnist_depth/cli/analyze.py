"""Commands that train nothing: list, theory, report, diagnose, board."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_depth import records
from mnist_depth.cli import flags, pages, progress
from mnist_depth.cli.output import terminal_width
from mnist_depth.config import RunConfig
from mnist_depth.datasets.prepared import check_data_dir
from mnist_depth.errors import UserError, system_error, unknown
from mnist_depth.files import is_denied, local_path
from mnist_depth.translation import translate as _

if TYPE_CHECKING:
    from mnist_depth.diagnosis import Diagnosis

MAX_NAMED = 3

FOUND_ERRORS = 1
"""Exit status of `diagnose --exit_code` where a finding has the severity error."""


def list_names(words: list[str], values: flags.FlagValues) -> int:
    """Print the registries: a line for every name that a flag takes."""
    from mnist_depth.cli.list_names import LISTS, text

    for word in words:
        if word not in LISTS:
            raise unknown("list", word, LISTS)
    print(text(words or list(LISTS)))
    return 0


def theory(words: list[str], values: flags.FlagValues) -> int:
    """Print what mean-field theory predicts for a network, without training."""
    import numpy as np

    from mnist_depth.theory import describe

    _no_words("theory", words)
    with np.errstate(all="ignore"):  # the table shows signals that overflow float64 as inf and nan
        print(describe(RunConfig(**flags.config_overrides(values))))
    return 0


def report(words: list[str], values: flags.FlagValues) -> int:
    """Write a self-contained HTML report on every run at or below a folder."""
    from mnist_depth.results.exports import TableOptions

    folder = _one_path("report", words, UserError("a folder of runs, such as logs/depth9"))
    check_data_dir(values.data_dir)
    columns = [name.strip() for name in values.columns.split(",")] if values.columns else []
    table = TableOptions(columns, values.caption or "", values.label or "")
    try:
        with progress.activity(_("writing the report")):
            page, _count = pages.write_page(folder, values.data_dir, Path(values.out) if values.out else None, table)
    except (UserError, OSError) as error:
        if not is_denied(error):
            raise
        what = error if isinstance(error, UserError) else system_error(error)
        raise UserError("{problem}; name a folder that you may write with --out", problem=what) from None
    print(page)
    return 0


def diagnose(words: list[str], values: flags.FlagValues) -> int:
    """Print what is wrong with a training, or with a saved Keras model on a batch, and what to change."""
    what = UserError("a run folder, the folder of a gauge, or a .keras file with --data")
    path = _one_path("diagnose", words, what)
    if not path.exists():
        raise UserError("there is no {path}; name {what}", path=path, what=what)
    found = _diagnose_folder(path, values) if path.is_dir() else _diagnose_file(path, values)
    return FOUND_ERRORS if values.exit_code and found.has_errors else 0


def _diagnose_folder(path: Path, values: flags.FlagValues) -> Diagnosis:
    from mnist_depth.results.diagnosis import diagnose_run, render_pair

    if values.repair or values.data:
        raise UserError("--data and --repair belong to a .keras file, not to a folder")
    if (path / records.CONFIG).exists():
        record = records.read_run(path)
    elif (path / records.GAUGE).exists():
        record = records.read_gauge(path)
    else:
        names = f"{records.CONFIG}, {records.GAUGE}"
        raise UserError(
            "{path} is no folder of a training (no {names}); {hint}", path=path, names=names, hint=_runs_below(path)
        )
    end = diagnose_run(record, "end")
    print(render_pair(diagnose_run(record, "start"), end, terminal_width(), has_ended=record.has_ended))
    return end


def _diagnose_file(path: Path, values: flags.FlagValues) -> Diagnosis:
    from mnist_depth.diagnosis import judge, localized, render
    from mnist_depth.model_diagnosis.files import load
    from mnist_depth.model_diagnosis.measuring import from_model

    if not values.data:
        raise UserError("diagnosing a model file needs a batch: --data=batch.npz with the arrays x and y")
    if values.repair:
        _check_target(Path(values.repair))
    model, x, y, source = load(path, Path(values.data))
    found = judge(from_model(model, x, y, source=source, progress=_progress))
    print(render(found, terminal_width(), localized))
    if values.repair:
        _repair(model, x, y, found, Path(values.repair))
    return found


def _check_target(target: Path) -> None:
    """Raises UserError where a repaired model cannot be written; before it is measured, which takes a while."""
    if target.suffix != ".keras":
        raise UserError("--repair={target} must end in .keras", target=target)
    if target.exists():
        raise UserError("{target} exists already; name another file", target=target)


def _repair(model: Any, x: Any, y: Any, found: Diagnosis, target: Path) -> None:
    from mnist_depth.model_diagnosis.repair import repair

    repaired = repair(model, x, y, before=found)
    title = _("repair").upper()
    print(f"\n{title}\n{repaired.text}")
    if repaired.changes:
        repaired.model.save(target)
        print(_("Written: {path}", path=target))


def _progress(line: str) -> None:
    from mnist_depth.diagnosis import localized

    print(f"{localized(line)} ...", file=sys.stderr, flush=True)


def _runs_below(folder: Path) -> UserError:
    """The first folders at the depth of STUDY/SLUG/seed_K; no deeper, because `folder` may be any folder."""
    files = (
        path
        for depth in ("*", "*/*", "*/*/*")
        for name in (records.CONFIG, records.GAUGE)
        for path in sorted(folder.glob(f"{depth}/{name}"))
    )
    found = [str(path.parent) for path in itertools.islice(files, MAX_NAMED)]
    if found:
        return UserError("name one of its trainings, such as {names}", names=", ".join(found))
    return UserError("it holds no training either")


def board(words: list[str], values: flags.FlagValues) -> int:
    """Serve TensorBoard on loopback, here or on another machine."""
    if words:
        raise UserError("board takes flags only; did you mean --logdir={word}?", word=words[0])
    _check_where(values)
    if values.remote is not None:
        from mnist_depth.board.remote import remote

        remote(
            values.remote,
            attach=values.attach,
            port=values.port,
            open_browser=values.open_browser,
            python=values.remote_python,
            ssh_config=values.ssh_config,
            language=values.language or "",
        )
        return 0
    from mnist_depth.board.server import serve

    serve(
        values.logdir,
        values.port,
        open_browser=values.open_browser,
        bind_all=values.bind_all,
        acknowledged=values.i_know_this_board_has_no_password,
        language=values.language or "",
    )
    return 0


def _check_where(values: flags.FlagValues) -> None:
    """Raise UserError for a flag that has no effect: it applies only to a local or only to a remote board."""
    given = flags.given(values)
    there = [name for name in given if name in ("attach", "remote_python", "ssh_config")]
    if values.remote is None and there:
        raise UserError(
            "--{name} is about a board on another machine; add --remote=user@host:/path/to/logs", name=there[0]
        )
    if "attach" in given and "language" in given:
        raise UserError("--language is for a board that this command starts; the one that already runs keeps its own")
    here = [name for name in given if name in ("logdir", "bind_all")]
    if values.remote is not None and here:
        raise UserError("--{name} is about a board on this machine; --remote names host and folder", name=here[0])


def _no_words(command: str, words: Sequence[str]) -> None:
    if words:
        raise UserError("{command} takes flags only, not {word}", command=command, word=repr(words[0]))


def _one_path(command: str, words: Sequence[str], what: UserError) -> Path:
    if len(words) != 1:
        raise UserError("{command} takes one word: {what}", command=command, what=what)
    return local_path(words[0], command)
