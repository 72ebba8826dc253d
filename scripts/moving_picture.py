#!/usr/bin/env python3
"""A moving picture of the Depth tab: `scripts/moving_picture.py LOGDIR OUT.gif [--filter WORDS]`.

Serves LOGDIR on loopback, opens the tab in a headless Chromium, moves its slider through training and writes an
animation that begins and rests at its ends. Needs the package's `test` extra, Chromium and chromedriver.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from urllib.parse import quote

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mnist_depth.board.server import start_board
from tests.browser import Browser, open_browser

WIDTH, HEIGHT = 780, 560
MILLISECONDS, MILLISECONDS_OF_REST = 250, 2200
COLORS = 128
"""Size of the palette that all pictures share: lines are anti-aliased, but few."""

SHOW = """
const [place, done] = arguments, slider = document.getElementById('step'), main = document.getElementById('main');
main.once('plotly_afterplot', () => requestAnimationFrame(() => requestAnimationFrame(done)));
slider.value = place;
slider.dispatchEvent(new Event('input'));
"""
LAST = "return document.getElementById('main')?.data ? Number(document.getElementById('step').max) : 0"


def pictures(browser: Browser, address: str, count: int) -> list[Image.Image]:
    """The tab, without TensorBoard's frame, at up to `count` moments."""
    browser.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.open(address)
    last = browser.wait(lambda: browser.driver.execute_script(LAST), "the slider")
    browser.settle()
    found = []
    for place in sorted({round(last * number / (count - 1)) for number in range(count)}):
        browser.driver.execute_async_script(SHOW, place)
        found.append(Image.open(io.BytesIO(browser.driver.get_screenshot_as_png())).convert("RGB"))
    return found


def write(frames: list[Image.Image], path: Path) -> None:
    """An animation that repeats; the first and the last picture rest."""
    palette = frames[-1].quantize(COLORS)
    drawn = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [MILLISECONDS_OF_REST, *[MILLISECONDS] * (len(frames) - 2), MILLISECONDS_OF_REST]
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=durations, loop=0, optimize=True)


def main() -> None:
    """Read the command line, write the animation, print its size."""
    parser = argparse.ArgumentParser(description="A moving picture of the Depth tab.")
    parser.add_argument("logdir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--filter", default="", metavar="WORDS", help="which trainings to show")
    parser.add_argument("--frames", type=int, default=24, help="pictures, at most")
    flags = parser.parse_args()
    with start_board(flags.logdir) as board, open_browser(WIDTH, HEIGHT + 200) as browser:
        address = f"{board.url}data/plugin_entry.html?name=depth#depth&filter={quote(flags.filter, safe='')}"
        frames = pictures(browser, address, flags.frames)
        complaints = [one for one in browser.console_errors() if "favicon.ico" not in one]
    write(frames, flags.out)
    print(f"{flags.out}: {len(frames)} pictures, {flags.out.stat().st_size / 1000:.0f} kB", *complaints, sep="\n  ")


if __name__ == "__main__":
    main()
