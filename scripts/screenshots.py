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
    """All runs overlaid, the accuracy pinned, one color per activation."""
    pins = quote(json.dumps([{"plugin": "scalars", "tag": "accuracy"}]))
    colors = quote(r"regex:(sigmoid|tanh|relu)")
    browser.open(f"{url}?pinnedCards={pins}&runFilter={quote('seed_')}&runColorGroup={colors}#timeseries")
    browser.wait_for("metrics-pinned-view line-chart")


def depth(browser: Browser, url: str, run: str) -> None:
    """The Depth tab with all runs."""
    _depth(browser, f"{url}#depth")


def depth_map(browser: Browser, url: str, run: str) -> None:
    """Layer by step, two configurations on one color scale."""
    _depth(browser, f"{url}#depth&view=map")


def depth_distributions(browser: Browser, url: str, run: str) -> None:
    """The sizes of gradients, layer by layer."""
    _depth(browser, f"{url}#depth&view=distributions")


def _depth(browser: Browser, address: str) -> None:
    browser.open(address)
    frame = browser.wait_for("iframe")[0]
    browser.driver.switch_to.frame(frame)
    browser.wait(lambda: browser.driver.find_elements("css selector", "#main .plot-container"), "the figure")
    browser.driver.switch_to.default_content()


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
    browser.open(f"{url}#images&regexInput={quote(run, safe='')}%24")
    browser.wait_for("img")


def text(browser: Browser, url: str, run: str) -> None:
    browser.open(f"{url}#text&regexInput={quote(run, safe='')}%24")
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
    "depth": depth,
    "depth_map": depth_map,
    "depth_distributions": depth_distributions,
    "time_series": time_series,
    "histograms": histograms,
    "graph": graph,
    "images": images,
    "text": text,
    "hparams_table": hparams_table,
    "hparams_parallel": hparams_parallel,
}


def training_run(board: Board, pattern: str) -> str:
    """The name of the first run of a seed that matches; the tabs that show one run show this one."""
    limit = time.monotonic() + SECONDS_TO_LOAD
    while time.monotonic() < limit:
        with urllib.request.urlopen(board.url + "data/runs") as answer:
            names = [name for name in json.load(answer) if re.search(r"seed_\d+$", name)]
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
