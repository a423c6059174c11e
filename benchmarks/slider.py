"""The time from a move of the slider to the redrawn chart: DeviceComparison in Chromium, without a kernel.

Twelve devices and eleven batch sizes, on the page that `to_html` writes. A move is an `input` event of the range, as by
a drag or an arrow key; the clock stops when the frame after the one that drew the chart begins, once it is painted.
With --slow N Chromium throttles the processor N-fold, as its developer tools do.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import machine, option_parser
from workbench.comparing.sweeps import BATCH_SIZES
from workbench.measuring.measurement import Latency, Measurement
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
    """Return made-up figures of so many devices at all batch sizes, of all origins."""
    found = []
    for index in range(count):
        origin = ("measured", "recorded", "modelled")[index % 3]
        for size in BATCH_SIZES:
            p50 = 1e-4 * (1 + index) ** 0.7 + size * 2e-5 / (1 + index)
            latency = Latency(p50=p50, p90=1.2 * p50, p99=2 * p50, count=99, warm_up=p50)
            found.append(
                Measurement(
                    phase="inference",
                    model="convnet",
                    device=f"Device {index + 1} with a name of usual length",
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
    """Move the slider, then print the times and one line of JSON."""
    from browser.lab import chromium, find_browser

    parser = option_parser(__doc__)
    parser.add_argument("--moves", type=int, default=300)
    parser.add_argument("--devices", type=int, default=12)
    parser.add_argument("--slow", type=float, default=1.0, help="throttle the processor by this factor")
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
        times = sorted(page.evaluate(MOVE, options.moves))
        version = running.version
    p99 = times[math.ceil(0.99 * len(times)) - 1]
    about = {"devices": options.devices, "batch_sizes": len(BATCH_SIZES), "moves": len(times), "slowed": options.slow}
    figures = {"median_ms": round(statistics.median(times), 1), "p99_ms": round(p99, 1), "most_ms": round(times[-1], 1)}
    print(
        f"Chromium {version}, {options.devices} devices × {len(BATCH_SIZES)} batch sizes, {len(times)} moves, measured:"
    )
    print(f"median {figures['median_ms']} ms, p99 {figures['p99_ms']} ms, at most {figures['most_ms']} ms")
    print("goal: a median below 50 ms and a p99 below 100 ms")
    print(json.dumps({"benchmark": "slider", **about, **figures, "chromium": version, "machine": machine()}))


if __name__ == "__main__":
    main()
