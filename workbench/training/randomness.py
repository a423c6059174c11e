"""A separate stream of random numbers for a training run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class RandomStream:
    """Torch's random state for dropout and the like, kept apart so that a run neither uses nor moves the user's.

    states: uint8 tensors, one for the CPU and one for the GPU where that is the device; they can be saved and restored.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        devices = [torch.device("cpu")] + [device] * (device.type != "cpu")
        self.states = [torch.Generator(each).manual_seed(seed).get_state() for each in devices]

    def _read(self) -> list[Tensor]:
        states = [torch.get_rng_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        elif self.device.type == "mps":
            states.append(torch.mps.get_rng_state())
        return states

    def _write(self, states: list[Tensor]) -> None:
        torch.set_rng_state(states[0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(states[1], self.device)
        elif self.device.type == "mps":
            torch.mps.set_rng_state(states[1])

    @contextmanager
    def active(self) -> Iterator[None]:
        """Have torch draw from this stream; the user's state is restored on leaving."""
        users = self._read()
        self._write(self.states)
        try:
            yield
        finally:
            self.states = self._read()
            self._write(users)
