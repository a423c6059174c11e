"""A contender's side of a training race: it trains in its own way, and only during its turn.

Each contender is a process. It calls `ready` once everything is set up, then `step` after each gradient step and
`epoch` after each epoch; both return at once, or block until the referee (benchmarks/peers/referee.py) gives it another
turn. The clock runs from the referee's order to the end of the last step ordered: fetching batches, schedules, progress
bars and checkpoints of a framework count; imports, building and validation do not.
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

from workbench.data.datasets import Data, load_dataset
from workbench.hyperparameters import HyperParameters, recommended
from workbench.machine.devices import find_device
from workbench.training.batches import Batches
from workbench.training.evaluation import evaluate, predict
from workbench.training.models import Normalise, build_model, parameter_count

CPU = torch.device("cpu")
DATA = "fashion-mnist"
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


class Turns:
    """The connection to the referee over stdin and stdout; what a framework prints goes to stderr."""

    def __init__(self) -> None:
        if sys.platform == "linux":  # a killed referee must not leave stopped processes behind
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        self._output = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._steps = self._images = self._ordered = 0
        self._start = 0.0

    def ready(self, **about: Any) -> None:
        """Report that everything is set up: next comes the first batch."""
        self._report(torch=torch.__version__, **about)

    def step(self, images: int, steps: int = 1) -> None:
        """Report that `steps` more steps are done, on `images` images in all."""
        self._steps += steps
        self._images += images
        if 0 < self._ordered <= self._steps:
            self._report(seconds=time.perf_counter() - self._start, images=self._images, steps=self._steps)

    def epoch(self, accuracy: Callable[[], float]) -> None:
        """Report the end of an epoch. accuracy: called only if the referee wants it, with the clock stopped."""
        if self._ordered == 0:
            done = {"images": self._images, "steps": self._steps}
            self._report(seconds=time.perf_counter() - self._start, accuracy=accuracy(), **done)

    def _report(self, **facts: Any) -> None:
        print(json.dumps(facts), file=self._output, flush=True)
        line = sys.stdin.readline()
        if not line:  # the race is over, whatever the framework still has to do
            os._exit(0)
        self._ordered = int(line)  # steps; 0: to the end of the epoch
        self._steps = self._images = 0
        self._start = time.perf_counter()


@dataclass(frozen=True, kw_only=True)
class Task:
    """A contender's task, from its command line as JSON.

    variant: "own", as in its quick-start; "matched", with our precision, layout, schedule, optimizer and resident data;
    or the name of a rung. precision: "fp32" or "bf16", for "matched".
    """

    variant: str
    epochs: int
    seed: int
    threads: int
    precision: str

    @property
    def hyperparameters(self) -> HyperParameters:
        """The recommended hyper-parameters of the workbench."""
        return recommended(DATA).replace(epochs=self.epochs, seed=self.seed, precision=self.precision)

    @cached_property
    def data(self) -> Data:
        """The data set, split alike for all."""
        return load_dataset(DATA)

    def network(self) -> nn.Module:
        """Return the convnet with the initial weights of this seed."""
        return build_model("convnet", shape=self.data.shape, seed=self.seed)

    def images(self) -> Images:
        """Return the training images as in a tutorial."""
        return Images(self.data)

    def batches(self) -> Batches:
        """Return the batches of the workbench: uint8, resident, half of the images mirrored."""
        return Batches(self.data.train, self.hyperparameters, CPU, find_device("cpu").free_memory())

    def accuracy(self, network: nn.Module) -> float:
        """Return the accuracy on the validation images, in fp32; the mode of the network stays unchanged."""
        split = self.data.validation
        return evaluate(predict(network, split, self.data.preprocessing), split.labels, self.data.labels).accuracy

    def about(self, network: nn.Module, batch_size: int, **more: Any) -> dict[str, Any]:
        """Return the facts to pass to `ready`."""
        precision = "fp32" if self.variant == "own" else self.precision
        facts = {"parameters": parameter_count(network), "batch_size": batch_size, "precision": precision}
        return facts | more


class Images(Dataset[tuple[Tensor, int]]):
    """The training images as `torchvision.datasets.FashionMNIST` provides them: PIL images, one by one, through
    `ToTensor` and `Normalize`. (That class has 60,000; these are the 54,900 that `train` learns from.)
    """

    def __init__(self, data: Data) -> None:
        self.images, self.targets = data.train.images.squeeze(3), data.train.labels
        transforms = torchvision.transforms
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.286,), (0.353,))])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index].numpy(), mode="L")), int(self.targets[index])


class Passes(IterableDataset[tuple[Tensor, Tensor]]):
    """Our batches for a framework that iterates over its data repeatedly: each pass is the next epoch."""

    def __init__(self, batches: Batches) -> None:
        self.batches, self.passes = batches, 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.passes += 1
        return self.batches.epoch(self.passes - 1)


class Fed(nn.Module):
    """The network with what `train` adds to it: uint8 images in, computed in bf16, fp32 logits out."""

    def __init__(self, network: nn.Module, task: Task) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)
        self.normalise = Normalise(task.data.preprocessing)
        self.has_bf16 = task.precision == "bf16"

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, float32 (N, classes), for images, uint8 (N, H, W, C)."""
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.has_bf16):
            logits: Tensor = self.network(self.normalise(images))
        return logits.float()


def begin() -> tuple[Task, Turns]:
    """Return the task from the command line and the connection to the referee; set threads and seed."""
    turns = Turns()
    task = Task(**json.loads(sys.argv[1]))
    torch.set_num_threads(task.threads)
    torch.manual_seed(task.seed)
    return task, turns
