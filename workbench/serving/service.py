"""State shared by all requests of a worker: the network, the limits, the metrics and a thread pool for slow work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from workbench.serving.intake import Intake, decompress
from workbench.serving.metrics import Metrics
from workbench.serving.network import Network
from workbench.serving.options import Options

# Short work is fastest on the event loop, as handing it to a thread and back costs more. Longer work would make every
# other client wait.
INLINE_SECONDS = 2e-3
INLINE_BYTES = 64 * 2**10

Result = TypeVar("Result")


class Service:
    """The service of one worker. network: what answers new requests; a request keeps the network it started with."""

    def __init__(self, network: Network, options: Options) -> None:
        self.network = network
        self.options = options
        self.metrics = Metrics()
        self.intake = Intake(options, self.metrics.waiting)
        self._pool = ThreadPoolExecutor(options.threads + 1, "slow work")
        self.metrics.set_network(network.name, network.version)

    def swap(self, network: Network) -> None:
        """Answer with another network from the next request on."""
        previous, self.network = self.network, network
        self.metrics.set_network(network.name, network.version, (previous.name, previous.version))

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Run slow work in the thread pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def decoded_body(self, request: Request, body: bytes) -> bytes:
        """Return the body without its Content-Encoding. Raises Problem if it cannot be decompressed."""
        encoding = request.headers.get("content-encoding")
        if encoding is None:
            return body
        return await self.in_thread(lambda: decompress(body, encoding, self.options.max_body_bytes))

    async def infer(self, network: Network, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Return the probabilities, float32 (N, K), of images, uint8 (N, H, W, C), and the seconds that took."""

        def compute() -> tuple[NDArray[np.float32], float]:
            start = time.perf_counter()
            probabilities = network.session(images)
            return probabilities, time.perf_counter() - start

        short = network.seconds * len(images) <= INLINE_SECONDS
        probabilities, seconds = compute() if short else await self.in_thread(compute)
        self.metrics.inference.observe(seconds)
        for index in probabilities.argmax(axis=1).tolist():
            self.metrics.answers.labels(network.bundle.labels[index]).inc()
        return probabilities, seconds
