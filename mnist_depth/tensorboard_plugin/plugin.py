"""The Depth tab as TensorBoard's plugin: the routes of the page and of its figures.

TensorBoard loads this module at its start, so it imports nothing heavy; the figures are imported with the first one.
"""

from __future__ import annotations

import csv
import functools
import gzip
import importlib.util
import io
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorboard import plugin_util
from tensorboard.backend import http_util
from tensorboard.plugins import base_plugin
from werkzeug import wrappers

from mnist_depth import translation
from mnist_depth.tensorboard_plugin.texts import TEXTS

if TYPE_CHECKING:
    from mnist_depth.figures.data import Training
    from mnist_depth.tensorboard_plugin.data import Found, Source

STATIC = Path(__file__).with_name("static")
SCRIPT = "application/javascript"
FILES = {
    **dict.fromkeys(("index.js", "cards.js", "elements.js", "keys.js", "theme.js"), SCRIPT),
    "style.css": "text/css",
}
SECONDS_CACHED = 24 * 3600

Answer = Callable[[wrappers.Request], Any]


class DepthPlugin(base_plugin.TBPlugin):
    """Gradient against depth, over all runs of the logdir."""

    plugin_name = "depth"

    def __init__(self, context: base_plugin.TBContext) -> None:
        self._provider, self._logdir = context.data_provider, context.logdir or ""
        self._made: Source | None = None
        self._preparing: threading.Thread | None = None
        translation.activate(translation.from_environment())

    def is_active(self) -> bool:
        """Whether to show the tab; `data_plugin_names` answers in its place where there are scalars."""
        return False

    def data_plugin_names(self) -> Any:
        return ("scalars",)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """What the page needs to open the tab; it asks for this first, so what the tab needs is read meanwhile."""
        if self._preparing is None:
            self._preparing = threading.Thread(target=_prepare, daemon=True)
            self._preparing.start()
        return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Depth")

    def get_plugin_apps(self) -> dict[str, Any]:
        """Every route; all of them only read."""
        static = {f"/{name}": self._static(name) for name in FILES}
        answers = {"/state": self._state, "/figure": self._figure, "/table.csv": self._table}
        return {**static, "/plotly.min.js": _plotly, **{path: _route(answer) for path, answer in answers.items()}}

    def _static(self, name: str) -> Any:
        @wrappers.Request.application
        def serve(request: wrappers.Request) -> Any:
            return http_util.Respond(request, (STATIC / name).read_bytes(), FILES[name])

        return serve

    @property
    def _source(self) -> Source:
        if self._made is None:
            from mnist_depth.tensorboard_plugin.data import Source

            self._made = Source(self._provider, self._logdir)
        return self._made

    def _chosen(self, request: wrappers.Request) -> tuple[list[Found], list[Training], int]:
        """The trainings that match the filter, and how many there are in all."""
        from mnist_depth.figures.style import matches

        where = _where(request)
        found = self._source.find(*where)
        trainings = self._source.describe(found, *where)
        words = request.args.get("filter", "")
        pairs = [pair for pair in zip(found, trainings, strict=True) if matches(pair[1], words)]
        return [one for one, _ in pairs], [training for _, training in pairs], len(found)

    def _state(self, request: wrappers.Request) -> dict[str, Any]:
        """The available choices, and a card per configuration."""
        from mnist_depth.figures.data import QUANTITIES, SUBJECTS, quantities_of
        from mnist_depth.tensorboard_plugin.cards import cards_of, hidden_at_first

        found, trainings, count = self._chosen(request)
        where = _where(request)
        cards = cards_of(self._source, found, trainings, request.args.get("color", "activation"), where)
        at_first = hidden_at_first(cards, trainings)
        hidden = _hidden(request) if request.args.get("hidden") else at_first
        drawn = [place for card in cards if card.key not in hidden for place in card.line.members] or range(len(found))
        quantities = quantities_of([trainings[place] for place in drawn])
        subjects = self._source.subjects([found[place] for place in drawn], *where)
        return {
            "version": self._source.version(*where),
            "language": translation.language(),
            "texts": {name: translation.translate(text) for name, text in TEXTS.items()},
            "all": count,
            "shown": len(trainings),
            "fields": _fields(trainings),
            "quantities": [[name, translation.translate(QUANTITIES[name].title)] for name in quantities],
            "subjects": [[name, translation.translate(SUBJECTS[name][0])] for name in subjects],
            "cards": [card.as_json() for card in cards],
            "hidden": at_first,
        }

    def _figure(self, request: wrappers.Request) -> dict[str, Any]:
        """One figure as the plain data of plotly's JSON; an empty object where nothing was measured."""
        from mnist_depth.figures import interactive
        from mnist_depth.figures.data import QUANTITIES, SUBJECTS, curve_of, layer_of

        found, trainings, _ = self._chosen(request)
        view, look = request.args.get("view", "profile"), (request.args.get("color", "activation"), _hidden(request))
        name, where = request.args.get("quantity", ""), _where(request)
        if view == "distributions" and name in SUBJECTS:
            filled = self._source.with_histograms(found, trainings, name, *where)
            return interactive.distributions_figure(filled, name, *look)
        if view == "curves":
            wanted = self._source.with_points(found, trainings, lambda tag: curve_of(tag) is not None, *where)
            return interactive.curves_figure(wanted, *look)
        if name not in QUANTITIES:
            return {}
        filled = self._source.with_points(
            found, trainings, lambda tag: tag.startswith(f"{name}/") and layer_of(tag) is not None, *where
        )
        draw = interactive.map_figure if view == "map" else interactive.profile_figure
        return draw(filled, name, *look)

    def _table(self, request: wrappers.Request) -> str:
        """Every measured point of the quantity that is shown, as CSV."""
        from mnist_depth.figures.data import QUANTITIES, layer_of

        name, where = request.args.get("quantity", ""), _where(request)
        found, trainings, _ = self._chosen(request)
        if name in QUANTITIES:
            trainings = self._source.with_points(
                found, trainings, lambda tag: tag.startswith(f"{name}/") and layer_of(tag) is not None, *where
            )
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(["training", "quantity", "layer", "step", "value"])
        for training in trainings if name in QUANTITIES else ():
            for layer in training.layers:
                for step, value in zip(*training.of_layer(name, layer), strict=True):
                    writer.writerow([training.name, name, layer, int(step), value])
        return file.getvalue()


def _where(request: wrappers.Request) -> tuple[Any, str]:
    return plugin_util.context(request.environ), plugin_util.experiment_id(request.environ)


def _hidden(request: wrappers.Request) -> list[str]:
    """The keys of the cards whose lines are hidden, one a line of the argument."""
    return [key for key in request.args.get("hidden", "").split("\n") if key]


def _fields(trainings: Iterable[Training]) -> list[str]:
    """The fields to color by, those that differ first."""
    from mnist_depth.figures.style import telling_fields

    listed = list(trainings)
    telling = telling_fields(listed)
    names = list(dict.fromkeys(name for training in listed for name in training.fields))
    return [*telling, *(name for name in names if name not in telling)]


def _route(answer: Answer) -> Any:
    """An answer as JSON, or as CSV where it is text."""

    @wrappers.Request.application
    def serve(request: wrappers.Request) -> Any:
        content = answer(request)
        if isinstance(content, str):
            return http_util.Respond(request, content, "text/csv")
        return http_util.Respond(request, json.dumps(content, allow_nan=False), "application/json")

    return serve


@wrappers.Request.application
def _plotly(request: wrappers.Request) -> Any:
    content = _packed_plotly()
    if not content:
        return http_util.Respond(request, "plotly is not installed", "text/plain", code=404)
    return http_util.Respond(request, content, SCRIPT, expires=SECONDS_CACHED, content_encoding="gzip")


@functools.cache
def _packed_plotly() -> bytes:
    """plotly.js out of the installed package, found without importing it and packed once; empty if there is none."""
    spec = importlib.util.find_spec("plotly")
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder, "package_data", "plotly.min.js")
        if path.is_file():
            return gzip.compress(path.read_bytes(), compresslevel=1, mtime=0)
    return b""


def _prepare() -> None:
    """Pack plotly.js and import what the first answers need."""
    _packed_plotly()
    for name in ("figures.interactive", "tensorboard_plugin.data", "summaries.tags"):
        importlib.import_module(f"mnist_depth.{name}")
