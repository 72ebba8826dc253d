"""The Depth tab as a person sees it: opened in a headless Chromium on a real TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from mnist_depth.board.links import depth_tab
from mnist_depth.board.server import Board, start_board
from mnist_depth.instrument.writers.protos import Event
from mnist_depth.records import RunRecord
from mnist_depth.summaries.events import replace_events, scalars

from ..browser import Browser, open_browser, reason_to_skip
from ..summaries.fabricated import STEPS, steps_and_values
from .conftest import HOSTILE, make_gauge

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(reason_to_skip() is not None, reason=reason_to_skip() or ""),
    pytest.mark.slow,
]

QUANTITY = "pre_activation_gradient_norm"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(1440, 900) as window:
        window.driver.execute_cdp_cmd(
            "Browser.setDownloadBehavior",
            {"behavior": "allow", "downloadPath": str(tmp_path_factory.getbasetemp() / "downloads")},
        )
        yield window


class Tab:
    """The Depth tab in a browser; the driver is inside its frame."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser, self.driver = browser, browser.driver
        self.driver.switch_to.default_content()
        browser.open(url)
        self.enter()

    def enter(self) -> None:
        """Into the frame of the tab."""
        self.driver.switch_to.default_content()
        frames = self.browser.wait(
            lambda: [one for one in self.browser.find_all("iframe") if "depth" in (one.get_attribute("id") or "depth")]
        )
        self.driver.switch_to.frame(frames[0])
        self.browser.wait(lambda: self.driver.find_elements(By.ID, "filter"), "the tab")

    def drawn(self) -> Any:
        """What plotly holds of the main figure, once it is there."""
        script = "const figure = document.getElementById('main'); return figure && figure.data ? figure.data : null"
        return self.browser.wait(lambda: self.driver.execute_script(script), "a figure")

    def lines(self) -> dict[str, list[float]]:
        """Label -> values of the lines of a profile."""
        return {one["name"]: one["y"] for one in self.drawn() if one["mode"] == "lines+markers"}

    def find(self, name: str) -> Any:
        return self.driver.find_element(By.ID, name)

    def text(self, selector: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    @property
    def address(self) -> str:
        return str(self.driver.execute_script("return window.parent.location.href"))


@pytest.fixture
def tab(browser: Browser, board: Board) -> Iterator[Tab]:
    browser.console_errors()
    opened = Tab(browser, depth_tab("study=depth9", board.url))
    opened.browser.wait(lambda: len(opened.lines()) == 2, "two lines")
    yield opened
    assert browser.console_errors() == []
    browser.driver.switch_to.default_content()


@contextmanager
def served(browser: Browser, folder: Path, **options: Any) -> Iterator[Board]:
    """A board for one test; the page leaves it before it ends, because a page without its server logs errors."""
    with start_board(folder, **options) as board:
        try:
            yield board
        finally:
            browser.driver.switch_to.default_content()
            browser.driver.get("about:blank")


def mean_at(runs: list[RunRecord], activation: str, place: int) -> list[float]:
    """Geometric mean over seeds at one measurement, from the files of measurements."""
    result = []
    for number in range(1, 10):
        product = 1.0
        members = [run for run in runs if run.config.activation == activation]
        for run in members:
            product *= steps_and_values(run, "train", f"{QUANTITY}/layer_{number:02d}")[1][place]
        result.append(product ** (1 / len(members)))
    return result


def test_the_link_of_a_study_opens_the_answer(tab: Tab, runs: list[RunRecord]) -> None:
    for activation, values in tab.lines().items():
        assert values == pytest.approx(mean_at(runs, activation, -1), rel=1e-6)
    assert tab.text(".count") == "4 of 6 trainings"
    cards = tab.text(".cards")
    assert "VANISHING" in cards
    assert "HEALTHY" in cards
    assert "Try first" in cards


def test_the_slider_moves_through_training_by_mouse_and_keys(tab: Tab, runs: list[RunRecord]) -> None:
    assert tab.text("#moment") == f"step {STEPS[-1]}, epoch 20"
    tab.driver.execute_script(
        "const slider = document.getElementById('step'); slider.value = 0; slider.dispatchEvent(new Event('input'))"
    )
    tab.browser.wait(lambda: tab.text("#moment") == "step 0, before training")
    assert tab.lines()["sigmoid"] == pytest.approx(mean_at(runs, "sigmoid", 0), rel=1e-6)
    tab.find("main").click()
    ActionChains(tab.driver).send_keys(Keys.ARROW_RIGHT).perform()
    tab.browser.wait(lambda: tab.text("#moment") == "step 10, epoch 1")
    assert "&step=10" in tab.address
    marked = tab.driver.execute_script("return document.getElementById('curves').layout.shapes.map(one => one.x0)")
    assert marked == [10, 10]
    tab.find("play").click()
    tab.browser.wait(lambda: tab.text("#moment") == f"step {STEPS[-1]}, epoch 20", "the end")
    tab.browser.wait(lambda: tab.find("play").text == "Play", "that it stops by itself")


def test_keys_work_whenever_the_tab_is_opened_and_no_field_loses_the_focus(tab: Tab) -> None:
    def press(key: str, moment: str) -> None:
        tab.driver.switch_to.default_content()
        ActionChains(tab.driver).send_keys(key).perform()
        tab.enter()
        tab.browser.wait(lambda: tab.text("#moment").startswith(moment), moment)

    press(Keys.HOME, "step 0,")
    tab.driver.switch_to.default_content()
    for name in ("SCALARS", "DEPTH"):
        tab.browser.wait_for("[role=tab]", name)[0].click()
        tab.browser.wait(lambda shown=name == "DEPTH": bool(tab.browser.find_all("iframe")) == shown, name)
    tab.browser.wait(lambda: tab.driver.switch_to.active_element.tag_name == "iframe", "the frame in focus")
    press(Keys.ARROW_RIGHT, "step 10,")
    tab.find("play").send_keys(Keys.ARROW_RIGHT)
    tab.browser.wait(lambda: not tab.text("#moment").startswith("step 10,"), "a button passes arrows on")
    tab.driver.execute_script(
        "const page = window.parent.document, field = page.createElement('input'), frame = window.frameElement;"
        "page.body.append(field); field.focus(); frame.style.display = 'none';"
        "setTimeout(() => { frame.style.display = ''; }, 100)"
    )
    tab.browser.wait(lambda: tab.driver.execute_script("return window.frameElement.checkVisibility()"), "the tab again")
    time.sleep(0.3)
    assert tab.driver.execute_script("return window.parent.document.activeElement.tagName") == "INPUT"


def test_an_address_opens_the_same_view_again(tab: Tab) -> None:
    tab.find("map").click()
    tab.browser.wait(lambda: tab.drawn()[0]["type"] == "heatmap", "maps")
    assert len(tab.drawn()) == 2
    address = tab.address
    assert "view=map" in address
    again = Tab(tab.browser, address)
    again.browser.wait(lambda: again.drawn()[0]["type"] == "heatmap", "maps")
    assert again.find("map").get_attribute("aria-selected") == "true"


def test_color_filter_and_quantity_are_chosen(tab: Tab) -> None:
    def choose(name: str, value: str) -> None:
        tab.driver.execute_script(
            "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
            "one.dispatchEvent(new Event('change'))", name, value,
        )  # fmt: skip

    colors = {one["line"]["color"] for one in tab.drawn() if one["mode"] == "lines+markers"}
    assert len(colors) == 2
    choose("color", "depth")
    tab.browser.wait(lambda: len({one["line"]["color"] for one in tab.drawn() if one["mode"] == "lines+markers"}) == 1)
    choose("quantity", "activation_std")
    tab.browser.wait(lambda: tab.lines()["relu"][8] == pytest.approx(0.3), "the activation spread")
    tab.find("filter").clear()
    tab.find("filter").send_keys("depth=9 -sigmoid")
    tab.browser.wait(lambda: list(tab.lines()) == ["depth9/relu-digits-e20/seed_0"] or len(tab.lines()) == 1)
    assert "filter=depth%3D9%20-sigmoid" in tab.address


def test_a_card_hides_its_line_and_the_address_keeps_it(tab: Tab) -> None:
    def toggles() -> list[Any]:
        return tab.driver.find_elements(By.CSS_SELECTOR, ".toggle")

    assert [one.text.split()[-1] for one in toggles()] == ["relu", "sigmoid"]
    toggles()[1].click()
    tab.browser.wait(lambda: list(tab.lines()) == ["relu"], "relu alone")
    curves = tab.driver.execute_script("return document.getElementById('curves').data.map(one => one.name)")
    assert {name.partition(",")[0] for name in curves} == {"relu"}
    assert "hidden=sigmoid" in tab.address
    again = Tab(tab.browser, tab.address)
    again.browser.wait(lambda: list(again.lines()) == ["relu"], "relu alone")
    assert [one.get_attribute("aria-pressed") for one in toggles()] == ["true", "false"]
    toggles()[1].click()
    again.browser.wait(lambda: len(again.lines()) == 2, "both")
    assert "hidden" not in again.address
    ActionChains(tab.driver).double_click(toggles()[0]).perform()
    again.browser.wait(lambda: list(again.lines()) == ["relu"], "the one that was clicked twice")


def test_the_link_to_the_graph_chooses_its_run(browser: Browser, tmp_path: Path) -> None:
    from tensorboard.compat.proto.graph_pb2 import GraphDef  # pyright: ignore[reportAttributeAccessIssue]

    graph = GraphDef()
    graph.node.add(name="x", op="Placeholder")
    for name in ("a_first", "wanted"):
        _write(tmp_path / name, "one", 1, 0.5)
        replace_events(tmp_path / name, "graph", [Event(graph_def=graph.SerializeToString(), wall_time=time.time())])
    with served(browser, tmp_path) as graphs:
        opened = Tab(browser, depth_tab("wanted", graphs.url))
        browser.wait(lambda: list(opened.lines()) == ["wanted"], "the run")
        opened.driver.find_element(By.LINK_TEXT, "Graph").click()
        opened.driver.switch_to.default_content()
        chosen = "return arguments[0].map(one => one.selectedItem && one.selectedItem.textContent.trim())"
        browser.wait(
            lambda: "wanted" in browser.driver.execute_script(chosen, browser.everything("paper-listbox")),
            "the graph of the run",
        )
        assert browser.console_errors() == []


@pytest.mark.parametrize("tags", [{}, {"loss": 0.7}, {"loss": 0.7, "accuracy": 0.5}])
def test_a_training_without_some_curves_is_drawn_at_any_size(
    browser: Browser, tmp_path: Path, tags: dict[str, float]
) -> None:
    _write(tmp_path / "partial", "one", 1, 0.5)
    if tags:
        replace_events(tmp_path / "partial", "two", [scalars(step, tags, time.time()) for step in (1, 2)])
    with served(browser, tmp_path) as board:
        opened = Tab(browser, depth_tab("partial", board.url))
        marked = "return (document.getElementById('curves').layout?.shapes || []).map(one => one.xref)"
        axes = ["x", "x2"][: len(tags)]
        browser.wait(lambda: opened.lines() and opened.driver.execute_script(marked) == axes, "the marks")
        fits = "const one = document.getElementById('curves'); return one.layout.height === one.clientHeight"
        for height in (700, 900):
            browser.driver.set_window_size(1440, height)
            browser.wait(lambda: opened.driver.execute_script(fits), "a figure of the new size")
        assert browser.console_errors() == []


def test_distributions_have_a_ridge_per_layer_and_configuration(tab: Tab) -> None:
    tab.find("distributions").click()
    tab.browser.wait(lambda: len(tab.drawn()) == 18, "ridges")
    assert tab.find("quantity").get_attribute("value") == "weight"


def test_pictures_and_tables_are_downloaded(tab: Tab, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp() / "downloads"
    for name in ("png", "svg", "csv"):
        tab.find(name).click()
    wanted = {"depth_profile.png": b"\x89PNG", "depth_profile.svg": b"<svg", "depth.csv": b"training,quantity"}
    tab.browser.wait(lambda: folder.is_dir() and {path.name for path in folder.iterdir()} == wanted.keys(), "files")
    for name, start in wanted.items():
        assert (folder / name).read_bytes().startswith(start)


def test_dark_mode_follows_tensorboard(tab: Tab) -> None:
    ink = "return getComputedStyle(document.body).color + document.getElementById('main').layout.font.color"
    light = tab.driver.execute_script(ink)
    tab.driver.execute_script("window.parent.document.body.classList.add('dark-mode')")
    tab.browser.wait(lambda: tab.driver.execute_script("return document.body.classList.contains('dark')"))
    assert tab.browser.wait(lambda: tab.driver.execute_script(ink) != light, "light ink")


def test_a_phone_shows_everything_in_one_column(tab: Tab) -> None:
    metrics = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    tab.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        widest = (
            "return Math.max(...[...document.body.querySelectorAll('*')].map(one => one.getBoundingClientRect().right))"
        )
        tab.browser.wait(lambda: tab.driver.execute_script(widest) <= 391, "nothing beyond the edge")
        main, curves = tab.find("main").rect, tab.find("curves").rect
        assert curves["y"] >= main["y"] + main["height"]
    finally:
        tab.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_controls_and_figure_are_in_sight_at_150_percent(tab: Tab) -> None:
    metrics = {"width": 853, "height": 480, "deviceScaleFactor": 1.5, "mobile": False}
    tab.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        bottom = "return document.getElementById(arguments[0]).getBoundingClientRect().bottom - window.innerHeight"
        for name in ("filter", "main", "play", "step", "moment"):
            tab.browser.wait(lambda name=name: tab.driver.execute_script(bottom, name) <= 0, name)
        assert tab.find("main").rect["height"] >= 200
    finally:
        tab.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_names_are_text(tab: Tab, board: Board) -> None:
    hostile = Tab(tab.browser, depth_tab("onerror", board.url))
    hostile.browser.wait(lambda: HOSTILE in hostile.text(".cards"), "the name as it is")
    ticks = "return [...document.querySelectorAll('#main .xtick text')].map(tick => tick.textContent)"
    hostile.browser.wait(lambda: HOSTILE in hostile.driver.execute_script(ticks), "the layer's name as it is")
    assert hostile.driver.find_elements(By.CSS_SELECTOR, "img") == []
    assert hostile.driver.execute_script("return window.parent.document.title + document.title").count("owned") == 0


def test_nothing_is_requested_from_another_host(tab: Tab, board: Board) -> None:
    entries = "return performance.getEntriesByType('resource').map(one => one.name)"
    names = tab.driver.execute_script(entries)
    tab.driver.switch_to.default_content()
    names += tab.driver.execute_script(entries)
    assert any("plotly.min.js" in name for name in names)
    hosts = {urlparse(name).netloc for name in names if not name.startswith(("data:", "blob:"))}
    assert hosts == {urlparse(board.url).netloc}


def test_no_training_is_said_in_words(tab: Tab, tmp_path: Path) -> None:
    nothing = Tab(tab.browser, tab.address.partition("#")[0] + "#depth&filter=no_such_run")
    nothing.browser.wait(lambda: nothing.text(".message") == "No training matches the filter.")
    assert not nothing.find("main").is_displayed()


def test_an_empty_folder_is_said_in_words_and_the_first_run_appears(browser: Browser, tmp_path: Path) -> None:
    with served(browser, tmp_path, reload_interval=1) as live:
        opened = Tab(browser, depth_tab("", live.url))
        browser.wait(lambda: "python -m mnist_depth" in opened.text(".message"), "what to do")
        _write(tmp_path / "live", "one", 1, 0.5)
        browser.wait(lambda: opened.lines().get("live") == [0.5, 0.5], "the first point")
        assert opened.text(".count") == "1 of 1 trainings"
        _write(tmp_path / "live", "two", 9, 0.25)
        browser.wait(lambda: opened.lines().get("live") == [0.25, 0.25], "the second point")
        assert opened.text("#moment") == "step 9"
        assert browser.console_errors() == []


def test_fifty_runs_have_fifty_lines_and_cards(browser: Browser, tmp_path: Path) -> None:
    for number in range(50):
        _write(tmp_path / f"run_{number}", "one", 1, 1.0 + number)
    with served(browser, tmp_path) as many:
        opened = Tab(browser, depth_tab("", many.url))
        browser.wait(lambda: opened.text(".count") == "50 of 50 trainings", "all runs")
        browser.wait(lambda: len(opened.lines()) == 50, "all lines")
        assert opened.lines()["run_7"] == pytest.approx([8.0, 8.0])
        assert len(opened.driver.find_elements(By.CSS_SELECTOR, ".card")) == 50
        assert browser.console_errors() == []


def test_names_of_all_layers_are_shown_and_axes_follow_the_filter(browser: Browser, tmp_path: Path) -> None:
    layers = [f"generator/conv2d_transpose_{number}" for number in range(1, 13)]
    points = {f"gradient_norm/{layer}/kernel": 1.0 for layer in layers}
    for name, losses in {"first": {"loss": 2.5e9}, "second": {"d_loss": 0.5, "g_loss": 0.7}, "third": {}}.items():
        events = [scalars(step, points | losses, time.time()) for step in (1, 2)]
        replace_events(tmp_path / name, "one", events)
    names = (
        "const edge = document.getElementById('main').getBoundingClientRect();"
        "return [...document.querySelectorAll('#main .xtick text')].filter(one => one.checkVisibility() &&"
        " one.getBoundingClientRect().right <= edge.right + 1).map(one => one.textContent)"
    )
    losses = "const one = document.getElementById('curves'); return one.checkVisibility() && one.layout.yaxis.range"
    with served(browser, tmp_path) as board:
        opened = Tab(browser, depth_tab("first", board.url))
        browser.wait(lambda: browser.driver.execute_script(names) == layers, "a name at every layer")
        browser.wait(lambda: (browser.driver.execute_script(losses) or [0, 0])[1] > 1e9, "its loss")
        for word, is_drawn in {
            "second": lambda ends: ends and 0 < ends[0] < ends[1] < 1,
            "third": lambda ends: not ends,
        }.items():
            opened.find("filter").clear()
            opened.find("filter").send_keys(word)
            browser.wait(lambda test=is_drawn: test(browser.driver.execute_script(losses) or []), f"losses of {word}")
        assert browser.console_errors() == []


def test_of_many_different_models_the_newest_and_the_worst_are_drawn_first(browser: Browser, tmp_path: Path) -> None:
    for number in range(11):
        make_gauge(tmp_path / f"model_{number}", tuple(f"m{number}_{layer}" for layer in "abcd"), factor=1.0)
    make_gauge(tmp_path / "steep", ("x", "y", "z"), factor=1e4)
    make_gauge(tmp_path / "today", ("stem", "head"), factor=1.0, created="2026-02-02")
    names = "return [...document.querySelectorAll('.card .name')].map(one => one.textContent)"
    ticks = "return document.getElementById('main').layout.xaxis.ticktext"
    first = ["today", "steep", "model_0", "model_1", "model_10", "model_2"]
    with served(browser, tmp_path) as board:
        opened = Tab(browser, depth_tab("", board.url))
        browser.wait(lambda: opened.text(".count") == "13 of 13 trainings, 6 drawn", "all trainings")
        browser.wait(lambda: opened.lines().keys() == {*first}, "six lines")
        assert opened.driver.execute_script(names)[:7] == [*first, "model_3"]
        assert opened.driver.execute_script(ticks) == ["1", "2", "3", "4"]
        toggles = opened.driver.find_elements(By.CSS_SELECTOR, ".toggle")
        toggles[6].click()
        browser.wait(lambda: opened.lines().keys() == {*first, "model_3"}, "one more")
        ActionChains(opened.driver).double_click(toggles[1]).perform()
        browser.wait(lambda: opened.driver.execute_script(ticks) == ["x", "y", "z"], "the layers of the one alone")
        assert list(opened.lines()) == ["steep"]
        ActionChains(opened.driver).double_click(toggles[1]).perform()
        browser.wait(lambda: len(opened.lines()) == 13, "all of them")
        browser.wait(lambda: opened.text(".count") == "13 of 13 trainings", "no hidden line")
        again = Tab(browser, opened.address)
        browser.wait(lambda: len(again.lines()) == 13, "all of them from the address")
        assert browser.console_errors() == []


def _write(folder: Path, name: str, step: int, value: float) -> None:
    """A training of two layers with one measurement."""
    tags = {f"gradient_norm/{layer}/kernel": value for layer in ("a", "b")}
    replace_events(folder, name, [scalars(step, tags, time.time())])
