#!/usr/bin/env python3
"""Take pictures of every tab of a board: `scripts/screenshots.py LOGDIR OUT [--run REGEX]`.

Serves LOGDIR on loopback, opens it in a headless Chromium and writes one PNG per tab into OUT. Needs the package's
`test` extra, Chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mnist_depth.board.server import Board, start_board
from tests.browser import Browser, open_browser


def time_series(browser: Browser, url: str, run: str) -> None:
    """All runs overlaid, the accuracy pinned, one color per activation and data split."""
    pins = quote(json.dumps([{"plugin": "scalars", "tag": "accuracy"}]))
    colors = quote(r"regex:(sigmoid|tanh|relu).*(train|test)$")
    runs = quote(r"seed_\d+/(train|test)$")
    browser.open(f"{url}?pinnedCards={pins}&runFilter={runs}&runColorGroup={colors}#timeseries")
    browser.wait_for("metrics-pinned-view line-chart")


def depth_profile(browser: Browser, url: str, run: str) -> None:
    """Gradient against depth: the snapshots of every run as curves over the layers."""
    tags = quote("^by_layer/log10_(probe_gradient_norm|pre_activation)")
    browser.open(f"{url}?smoothing=0&runFilter={quote('seed_0/depth/')}&tagFilter={tags}#timeseries")
    browser.wait_for("scalar-card line-chart")


def custom_scalars(browser: Browser, url: str, run: str) -> None:
    """All layers of one run on one chart per quantity, with logarithmic axes where the title says so."""
    browser.open(f"{url}#custom_scalars&regexInput={quote(run, safe='')}")
    browser.wait_for("tf-custom-scalar-multi-line-chart-card", "Matches")
    browser.settle()
    for card in browser.wait_for("tf-custom-scalar-multi-line-chart-card", "log axis"):
        browser.click(browser.inside(card, "paper-icon-button")[1])


def histograms(browser: Browser, url: str, run: str) -> None:
    browser.open(f"{url}#histograms&regexInput={quote(run, safe='')}")
    browser.wait_for("vz-histogram-timeseries")


def graph(browser: Browser, url: str, run: str) -> None:
    """One box per layer, the third opened."""
    browser.open(f"{url}#graphs")
    browser.wait_for("g.nodeshape")
    browser.wait(
        lambda: browser.driver.execute_script(CHOOSE, browser.everything("paper-item"), run), "the run's graph"
    )
    browser.settle()
    browser.wait(lambda: browser.driver.execute_script(EXPAND, browser.everything("g.node")), "layer_03")


def images(browser: Browser, url: str, run: str) -> None:
    browser.open(f"{url}#images&regexInput={quote(run.removesuffix('/train'), safe='')}%24")
    browser.wait_for("img")


def text(browser: Browser, url: str, run: str) -> None:
    browser.open(f"{url}#text&regexInput={quote(run.removesuffix('/train'), safe='')}%24")
    browser.wait_for("tf-markdown-view", "depth")


def hparams_table(browser: Browser, url: str, run: str) -> None:
    browser.open(f"{url}#hparams")
    browser.wait_for("vaadin-grid-cell-content", "relu")


def hparams_parallel(browser: Browser, url: str, run: str) -> None:
    hparams_table(browser, url, run)
    browser.click(browser.wait_for("paper-tab", "PARALLEL")[0])
    browser.wait_for("svg g.axis")


SECONDS_TO_LOAD = 60
CHOOSE = """
const item = arguments[0].find(item => item.textContent.trim() === arguments[1]);
if (item) item.click();
return !!item;
"""
EXPAND = """
const box = arguments[0].find(node => node.getAttribute('data-name') === 'layer_03');
if (box) box.querySelector('g.nodeshape').dispatchEvent(new MouseEvent('dblclick', {bubbles: true, composed: true}));
return !!box;
"""

PICTURES: dict[str, Callable[[Browser, str, str], None]] = {
    "time_series": time_series,
    "depth_profile": depth_profile,
    "custom_scalars": custom_scalars,
    "histograms": histograms,
    "graph": graph,
    "images": images,
    "text": text,
    "hparams_table": hparams_table,
    "hparams_parallel": hparams_parallel,
}


def training_run(board: Board, pattern: str) -> str:
    """The name of the first `train` run of a seed that matches; the tabs that show one run show this one."""
    limit = time.monotonic() + SECONDS_TO_LOAD
    while time.monotonic() < limit:
        with urllib.request.urlopen(board.url + "data/runs") as answer:
            names = [name for name in json.load(answer) if re.search(r"seed_\d+/train$", name)]
        if found := [name for name in names if re.search(pattern, name)]:
            return found[0]
        time.sleep(0.5)
    raise SystemExit(f"no training run matches {pattern!r}")


def main() -> None:
    """Read the command line, take the pictures, print where they are and what the pages complained of."""
    parser = argparse.ArgumentParser(description="Take pictures of every tab of a board.")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", default="", metavar="REGEX", help="whose run the tabs show that show only one")
    parser.add_argument("--only", nargs="*", default=list(PICTURES), choices=list(PICTURES), metavar="TAB")
    flags = parser.parse_args()
    with start_board(flags.logdir) as board, open_browser() as browser:
        run = training_run(board, flags.run)
        for name in flags.only:
            PICTURES[name](browser, board.url, run)
            print(browser.screenshot(flags.out / f"{name}.png"), *browser.console_errors(), sep="\n  ", flush=True)


if __name__ == "__main__":
    main()
