"""What one worker has at hand: its network, which may be swapped while it answers, and hands for slow work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request

from workbench.serving.intake import Intake, unpack
from workbench.serving.metrics import Metrics
from workbench.serving.network import Network
from workbench.serving.options import Options

# On the event loop a short computation is quickest: handing it to a thread and back costs more. Longer ones would let
# every other client wait.
INLINE_SECONDS = 2e-3
INLINE_BYTES = 64 * 2**10

Result = TypeVar("Result")


class Service:
    """Shared by all requests of a worker. network: what answers from now on; a request keeps the one it began with."""

    def __init__(self, network: Network, options: Options) -> None:
        self.network = network
        self.options = options
        self.metrics = Metrics()
        self.intake = Intake(options, self.metrics.waiting)
        self._hands = ThreadPoolExecutor(options.threads + 1, "slow work")
        self.metrics.network(network.name, network.version)

    def swap(self, network: Network) -> None:
        """Answer with another network from the next request on."""
        before, self.network = self.network, network
        self.metrics.network(network.name, network.version, (before.name, before.version))

    async def aside(self, work: Callable[[], Result]) -> Result:
        """Do in a thread what takes long."""
        return await asyncio.get_running_loop().run_in_executor(self._hands, work)

    async def unpacked(self, request: Request, body: bytes) -> bytes:
        """The body without its Content-Encoding. Raises Problem for one that cannot be undone."""
        encoding = request.headers.get("content-encoding")
        if encoding is None:
            return body
        return await self.aside(lambda: unpack(body, encoding, self.options.max_body_bytes))

    async def infer(self, network: Network, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Probabilities, float32 (N, K), of pictures, uint8 (N, H, W, C), and the seconds that took."""

        def compute() -> tuple[NDArray[np.float32], float]:
            start = time.perf_counter()
            probabilities = network.session(pictures)
            return probabilities, time.perf_counter() - start

        short = network.seconds * len(pictures) <= INLINE_SECONDS
        probabilities, seconds = compute() if short else await self.aside(compute)
        self.metrics.inference.observe(seconds)
        for place in probabilities.argmax(axis=1).tolist():
            self.metrics.answers.labels(network.bundle.labels[place]).inc()
        return probabilities, seconds
