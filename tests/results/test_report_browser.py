"""The report in a real browser, opened from a file: URL: nothing loads, nothing overflows, everything is labeled."""

from __future__ import annotations

import base64
import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mnist_depth import translation
from mnist_depth.config import RunConfig
from mnist_depth.records import find_runs
from mnist_depth.results.overview import Story
from mnist_depth.results.report import write_report
from mnist_depth.studies import STUDIES

from .fabricated_runs import headline, write_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="chromium and chromedriver are not installed"),
    pytest.mark.slow,
]

SIZES = {"desktop": (1280, 900), "phone": (360, 780)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    logdir = tmp_path_factory.mktemp("logs")
    root = headline(logdir)
    for initializer in ("zeros", "he_normal", "normal_1"):
        for activation in ("relu", "sigmoid"):
            write_run(logdir, RunConfig(activation=activation, initializer=initializer), accuracy=0.5)
    answers = [("sigmoid stays at chance", "reproduced", "0.1135"), ("<script>alert(1)</script>", "not tested", "why")]
    return write_report(root, story=Story("depth9", "Nine layers & <b>one</b> question?", answers=answers))


def open_at(browser: Any, report: Path, size: str, *, dark: bool = False) -> list[str]:
    """Open the page and return every address that was requested."""
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == "phone"}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    browser.get_log("performance")
    browser.get(report.as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_requested_and_the_console_is_silent(browser: Any, report: Path, size: str) -> None:
    requested = [url for url in open_at(browser, report, size) if not url.startswith("data:")]
    assert requested == [report.as_uri()]
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


@pytest.mark.parametrize("size", SIZES)
def test_the_page_does_not_overflow(browser: Any, report: Path, size: str) -> None:
    open_at(browser, report, size)
    widths = browser.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths[0] <= widths[1]
    assert widths[1] == SIZES[size][0]


def test_every_figure_has_a_label_and_text_that_can_be_selected(browser: Any, report: Path) -> None:
    open_at(browser, report, "desktop")
    figures = browser.execute_script(
        "return [...document.querySelectorAll('figure svg')].map("
        "s => [s.getAttribute('role'), s.getAttribute('aria-label'), s.querySelectorAll('text').length])"
    )
    assert len(figures) >= 7
    for role, label, texts in figures:
        assert role == "img"
        assert len(label) > 40
        assert texts > 5
    selected = browser.execute_script(
        "const r = document.createRange(); r.selectNodeContents(document.querySelector('figure svg text'));"
        "getSelection().removeAllRanges(); getSelection().addRange(r); return getSelection().toString()"
    )
    assert selected.strip()


def test_ids_are_unique_and_every_reference_is_met(browser: Any, report: Path) -> None:
    open_at(browser, report, "desktop")
    ids = browser.execute_script("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = browser.execute_script(
        "return [...document.querySelectorAll('use')].map(u => u.getAttribute('xlink:href') || u.getAttribute('href'))"
    )
    assert {target.removeprefix("#") for target in targets} <= set(ids)


def test_markup_in_texts_is_shown_and_not_obeyed(browser: Any, report: Path) -> None:
    open_at(browser, report, "desktop")
    assert browser.find_element("tag name", "h1").text == "Nine layers & <b>one</b> question?"
    assert "<script>alert(1)</script>" in browser.find_element("tag name", "main").text
    assert browser.execute_script("return document.scripts.length") == 0


def test_dark_and_light_swap_ink_and_paper(browser: Any, report: Path) -> None:
    def luminances() -> list[float]:
        colors = browser.execute_script(
            "const main = getComputedStyle(document.body), text = document.querySelector('figure svg text');"
            "return [main.backgroundColor, main.color, getComputedStyle(text).fill]"
        )
        return [sum(map(float, color[color.index("(") + 1 : -1].split(",")[:3])) / 765 for color in colors]

    open_at(browser, report, "desktop")
    paper, ink, axis = luminances()
    assert paper > 0.9
    assert max(ink, axis) < 0.2
    open_at(browser, report, "desktop", dark=True)
    paper, ink, axis = luminances()
    assert paper < 0.2
    assert min(ink, axis) > 0.8


PAPERS = {"A4": (8.27, 11.69), "Letter": (8.5, 11.0)}


def test_twelve_runs_print_on_at_most_four_pages(browser: Any, twelve: Path, long_labels: Path) -> None:
    for report in (twelve, long_labels):
        open_at(browser, report, "desktop")
        for width, height in PAPERS.values():
            options = {"paperWidth": width, "paperHeight": height, "printBackground": False}
            pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", options)["data"])
            assert 1 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) <= 4


@pytest.fixture(scope="module")
def long_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Korean report on twelve runs outside of a study, which differ in four fields and have all verdicts."""
    logdir = tmp_path_factory.mktemp("labels")
    for number, (activation, pretraining, batch_norm) in enumerate(
        itertools.product(("relu", "sigmoid", "tanh"), ("none", "lsuv:samples"), ("none", "before"))
    ):
        config = RunConfig(
            activation=activation,
            pretraining=pretraining,
            batch_norm=batch_norm,
            optimizer=("sgd", "adam")[number % 2],
        )
        command = f"python -m mnist_depth train --logdir=/home/someone/{'long' * 20} --seed={number}"
        write_run(logdir, config, study="runs", accuracy=number / 12, gain=(0.2, 0.9, 3.0)[number % 3], command=command)
    translation.activate("ko")
    report = write_report(logdir / "runs")
    translation.activate("en")
    return report


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on the twelve runs of the quick map of activations and initializations."""
    logdir, study = tmp_path_factory.mktemp("twelve"), STUDIES["activation_init_grid"]
    for config in study.configs("mnist", quick=True):
        is_sigmoid = config.activation == "sigmoid"
        write_run(logdir, config, study="grid", accuracy=0.11 if is_sigmoid else 0.97, gain=0.24 if is_sigmoid else 0.9)
    runs = find_runs(logdir / "grid")
    return write_report(logdir / "grid", story=study.story("grid", study.answers(runs), runs))


def test_question_answer_and_picture_are_on_the_first_screen(browser: Any, twelve: Path) -> None:
    open_at(browser, twelve, "desktop")
    bottoms = browser.execute_script(
        "return ['h1', '.answer', 'figure.main svg', '.verdicts li']"
        ".map(s => document.querySelector(s).getBoundingClientRect().bottom)"
    )
    assert max(bottoms) <= SIZES["desktop"][1]
