"""A contender's side of a training race: it trains in its own way, and only when it is its turn.

Each contender is a process of its own. It says `ready` once everything is set up, then `step` after each gradient step
and `epoch` after each epoch; both return at once, or wait until the referee (benchmarks/peers/referee.py) lets it go
on. The clock runs from the referee's word to the end of the last step asked for: fetching batches, schedules, progress
bars and check-points of a framework count; imports, building and validation do not.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset, IterableDataset

from workbench.batches import Batches
from workbench.data import Data, load_dataset
from workbench.devices import find_device
from workbench.evaluation import evaluate, predict
from workbench.hyperparameters import HyperParameters, recommended
from workbench.models import Normalise, build_model, parameter_count

CPU = torch.device("cpu")
DATA = "fashion-mnist"
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class Turns:
    """The line to the referee. What a framework prints goes to the error output instead."""

    def __init__(self) -> None:
        if sys.platform == "linux":  # a referee that was killed leaves nobody behind, stopped for ever
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        self._line = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._steps = self._pictures = self._wanted = 0
        self._start = 0.0

    def ready(self, **about: Any) -> None:
        """All is set up: the next thing is the first batch."""
        self._tell(torch=torch.__version__, **about)

    def step(self, pictures: int, steps: int = 1) -> None:
        """So many steps more are done, on so many pictures."""
        self._steps += steps
        self._pictures += pictures
        if 0 < self._wanted <= self._steps:
            self._tell(seconds=time.perf_counter() - self._start, pictures=self._pictures, steps=self._steps)

    def epoch(self, accuracy: Callable[[], float]) -> None:
        """An epoch's last step is done. accuracy: measures it, when it is asked for, while the clock stands still."""
        if self._wanted == 0:
            done = {"pictures": self._pictures, "steps": self._steps}
            self._tell(seconds=time.perf_counter() - self._start, accuracy=accuracy(), **done)

    def _tell(self, **what: Any) -> None:
        print(json.dumps(what), file=self._line, flush=True)
        asked = sys.stdin.readline()
        if not asked:  # the race is over, whatever the framework would still want to do
            os._exit(0)
        self._wanted = int(asked)  # steps; 0: to the end of the epoch
        self._steps = self._pictures = 0
        self._start = time.perf_counter()


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a contender is told on its command line, as JSON.

    variant: "own", as its quick-start has it; "matched", with our precision, layout, schedule, optimizer and resident
    data; or the name of a rung. precision: "fp32" or "bf16", for "matched".
    """

    variant: str
    epochs: int
    seed: int
    threads: int
    precision: str

    @property
    def hyperparameters(self) -> HyperParameters:
        """Ours."""
        return recommended(DATA).replace(epochs=self.epochs, seed=self.seed, precision=self.precision)

    @cached_property
    def data(self) -> Data:
        """The same split for all."""
        return load_dataset(DATA)

    def network(self) -> nn.Module:
        """The convnet, with the first weights of this seed."""
        return build_model("convnet", shape=self.data.shape, seed=self.seed)

    def pictures(self) -> Pictures:
        """What a tutorial trains on."""
        return Pictures(self.data)

    def batches(self) -> Batches:
        """Ours: uint8, resident, mirrored by half."""
        return Batches(self.data.train, self.hyperparameters, CPU, find_device("cpu").free_memory())

    def accuracy(self, network: nn.Module) -> float:
        """Share of right answers on the validation pictures, in fp32; the network stays in the mode it is in."""
        split = self.data.validation
        return evaluate(predict(network, split, self.data.preprocessing), split.labels, self.data.labels).accuracy

    def about(self, network: nn.Module, batch_size: int, **more: Any) -> dict[str, Any]:
        """For `ready`."""
        precision = "fp32" if self.variant == "own" else self.precision
        told = {"parameters": parameter_count(network), "batch_size": batch_size, "precision": precision}
        return told | more


class Pictures(Dataset[tuple[Tensor, int]]):
    """The training pictures as `torchvision.datasets.FashionMNIST` serves them: PIL pictures, one by one, through
    `ToTensor` and `Normalize`. (That class knows 60,000; these are the 54,900 that ours trains on.)
    """

    def __init__(self, data: Data) -> None:
        self.pictures, self.targets = data.train.pictures.squeeze(3), data.train.labels
        transforms = torchvision.transforms
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.286,), (0.353,))])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pictures[index].numpy(), mode="L")), int(self.targets[index])


class Passes(IterableDataset[tuple[Tensor, Tensor]]):
    """Our batches for a framework that walks through its data again and again: each pass is the next epoch."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.passed = batches, 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passed += 1
        return self.batches.epoch(self.passed - 1)


class Fed(nn.Module):
    """The network with what `train` does around it: uint8 pictures in, computed in bf16, fp32 logits out."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.normalise = Normalise(task.data.preprocessing)
        self.halved = task.precision == "bf16"

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, H, W, C) uint8 -> (N, classes) float32."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.halved):
            logits: Tensor = self.network(self.normalise(pictures))
        return logits.float()


def begin() -> tuple[Task, Turns]:
    """The task from the command line, and the line to the referee; threads and seed are set."""
    turns = Turns()
    task = Task(**json.loads(sys.argv[1]))
    torch.set_num_threads(task.threads)
    torch.manual_seed(task.seed)
    return task, turns
