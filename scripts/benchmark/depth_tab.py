#!/usr/bin/env python3
"""How fast the Depth tab is: `.venv/bin/python scripts/benchmark/depth_tab.py LOGDIR [--runs 2 50 200]`.

Copies the finished runs below LOGDIR until there are so many, with seeds and rates of their own, serves them, and
measures in a headless Chromium, for each number of runs:

- first view: from opening the printed address to the first figure, with an empty cache, and again with a warm one;
- slider: milliseconds of one step, median and slowest, until plotly has drawn it.

Run it on an idle machine; the load is printed. Needs the package's `test` extra, Chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mnist_depth import records
from mnist_depth.board.links import depth_tab
from mnist_depth.board.server import start_board
from tests.browser import Browser, open_browser

SEEDS = 3
"""Copies that are one configuration."""

SECONDS_TO_LOAD = 120

DRAWN = """
const frame = document.querySelector('iframe');
const window_ = frame && frame.contentWindow;
const mark = window_ && window_.performance.getEntriesByName('first figure')[0];
return mark ? window_.performance.timeOrigin + mark.startTime - performance.timeOrigin : null;
"""
STEPS = """
const done = arguments[0], slider = document.getElementById('step'), main = document.getElementById('main');
const times = [];
const step = (place) => {
  if (place < 0) return done(times);
  const start = performance.now();
  main.once('plotly_afterplot', () => requestAnimationFrame(() => {
    times.push(performance.now() - start);
    setTimeout(() => step(place - 1), 30);
  }));
  slider.value = place;
  slider.dispatchEvent(new Event('input'));
};
step(Math.min(Number(slider.max) - 1, 20));
"""


def copied(sources: list[Path], logdir: Path, count: int) -> None:
    """`count` runs, copies of the sources in turn."""
    for number, source in zip(range(count), itertools.cycle(sources), strict=False):
        round_ = number // len(sources)
        folder = logdir / "copies" / f"{source.parent.name}-{round_ // SEEDS}" / f"seed_{round_ % SEEDS}"
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.h5", "checkpoint", "*.npz"))
        path = folder / records.CONFIG
        about = json.loads(path.read_text())
        about["config"] |= {"seed": round_ % SEEDS, "learning_rate": round(0.1 + 0.001 * (round_ // SEEDS), 3)}
        path.write_text(json.dumps(about))


def measured(browser: Browser, logdir: Path, count: int) -> dict[str, float]:
    """Milliseconds of the first view, of the second one, and of a slider step."""
    with start_board(logdir) as board:
        _wait_until_served(board.url, count)
        browser.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        address = depth_tab("", board.url)
        found = {}
        for name in ("first view", "again"):
            browser.open(address)
            found[name] = float(browser.wait(lambda: browser.driver.execute_script(DRAWN), "the first figure"))
        browser.driver.switch_to.frame(browser.find_all("iframe")[0])
        steps = browser.driver.execute_async_script(STEPS)
        browser.driver.switch_to.default_content()
        return found | {"slider": statistics.median(steps), "slowest": max(steps)}


def _wait_until_served(url: str, count: int) -> None:
    """Wait for TensorBoard to read the runs; asks for the list of runs only, so that the tab has nothing prepared."""
    limit = time.monotonic() + SECONDS_TO_LOAD
    while time.monotonic() < limit:
        with urllib.request.urlopen(f"{url}data/runs") as answer:
            if len(json.load(answer)) >= count:
                return
        time.sleep(0.5)
    raise SystemExit("TensorBoard did not read the runs in time")


def main() -> None:
    """Read the command line, measure, print a table."""
    parser = argparse.ArgumentParser(description="How fast the Depth tab is.")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--runs", type=int, nargs="*", default=[2, 50, 200])
    flags = parser.parse_args()
    sources = sorted(path.parent for path in flags.logdir.glob(f"*/*/*/{records.DONE}"))
    if not sources:
        raise SystemExit(f"no finished run below {flags.logdir}")
    print("load of the machine:", *(f"{load:.1f}" for load in os.getloadavg()))
    print("| runs | first view, s | again, s | slider step, ms | slowest step, ms |\n|---|---|---|---|---|")
    for count in flags.runs:
        with tempfile.TemporaryDirectory() as folder, open_browser(1440, 900) as browser:
            browser.driver.set_script_timeout(SECONDS_TO_LOAD)
            copied(sources, Path(folder), count)
            found = measured(browser, Path(folder), count)
        seconds = f"{found['first view'] / 1000:.2f} | {found['again'] / 1000:.2f}"
        print(f"| {count} | {seconds} | {found['slider']:.0f} | {found['slowest']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
