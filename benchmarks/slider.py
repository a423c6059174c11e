"""From a move of the slider to the redrawn chart: DeviceComparison with 12 devices and 11 batch sizes, in Chromium.

The page is the one that `to_html` writes, so no kernel takes part. A move is an `input` event of the range, as a drag
or an arrow key gives it; the clock stops when the frame after the one that drew the chart begins, that is once it was
painted. With --slow N the processor is throttled N-fold, as Chromium's developer tools do it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.inference import machine
from workbench.measurement import Latency, Measurement
from workbench.sweeps import BATCH_SIZES
from workbench.widgets.device_comparison import DeviceComparison

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

MOVE = """
async moves => {
  const root = document.querySelector("section.wb"), range = root.querySelector("input[type=range]");
  const frame = () => new Promise(requestAnimationFrame);
  const taken = [];
  for (let move = 0; move < moves; move++) {
    const drawn = root.dataset.drawn;
    range.value = (move * 7 + 3) % 11;
    const start = performance.now();
    range.dispatchEvent(new Event("input", {bubbles: true}));
    while (root.dataset.drawn === drawn) await frame();
    await frame();
    taken.push(performance.now() - start);
  }
  return taken;
}
"""


def devices(count: int) -> list[Measurement]:
    """So many devices at all batch sizes, of all origins, none like another."""
    found = []
    for place in range(count):
        origin = ("measured", "recorded", "modelled")[place % 3]
        for size in BATCH_SIZES:
            p50 = 1e-4 * (1 + place) ** 0.7 + size * 2e-5 / (1 + place)
            latency = Latency(p50=p50, p90=1.2 * p50, p99=2 * p50, count=99, warm_up=p50)
            found.append(
                Measurement(
                    phase="inference",
                    model="convnet",
                    device=f"Device {place + 1} with a name of usual length",
                    kind="cpu",
                    engine="onnx",
                    precision="fp32",
                    threads=1,
                    batch_size=size,
                    latency=latency,
                    memory_bytes=10**6 * size,
                    origin=origin,  # type: ignore[arg-type]
                    source="here, now" if origin == "measured" else f"{origin} 2026-11-25",
                )
            )
    return found


def main() -> None:
    from browser.lab import chromium, find_browser

    parser = argparse.ArgumentParser(prog="python -m benchmarks slider", description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=300)
    parser.add_argument("--devices", type=int, default=12)
    parser.add_argument("--slow", type=float, default=1.0, help="throttle the processor so many times")
    options = parser.parse_args()
    path = find_browser()
    if path is None:
        sys.exit("No Chromium or Chrome was found.")
    with tempfile.TemporaryDirectory() as folder, chromium(path) as running:
        page = running.new_page(viewport={"width": 1100, "height": 1000})
        file = Path(folder) / "devices.html"
        DeviceComparison(recordings=(), also=devices(options.devices)).to_html(file)
        page.goto(file.as_uri())
        page.locator("section.wb h3").wait_for()
        if options.slow > 1:
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": options.slow})
        page.evaluate(MOVE, 20)  # warm-up
        taken = sorted(page.evaluate(MOVE, options.moves))
        version = running.version
    p99 = taken[math.ceil(0.99 * len(taken)) - 1]
    about = {"devices": options.devices, "batch_sizes": len(BATCH_SIZES), "moves": len(taken), "slowed": options.slow}
    figures = {"median_ms": round(statistics.median(taken), 1), "p99_ms": round(p99, 1), "most_ms": round(taken[-1], 1)}
    print(
        f"Chromium {version}, {options.devices} devices × {len(BATCH_SIZES)} batch sizes, {len(taken)} moves, measured:"
    )
    print(f"median {figures['median_ms']} ms, p99 {figures['p99_ms']} ms, at most {figures['most_ms']} ms")
    print("goal: a median below 50 ms and a p99 below 100 ms")
    print(json.dumps({"benchmark": "slider", **about, **figures, "chromium": version, "machine": machine()}))


if __name__ == "__main__":
    main()
