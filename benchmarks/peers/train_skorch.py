"""skorch. own: its notebook "MNIST with scikit-learn and skorch": arrays in memory, Adam at 2e-3, batches of 128.

matched: our batches, our optimizer, our schedule step by step, bf16 inside the network; no output.
"""

import skorch
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from benchmarks.peers.turns import CPU, Fed, Passes, begin
from workbench.training.models import Normalise
from workbench.training.optimization import learning_rate_at, make_optimizer


class Referee(Callback):
    def on_train_begin(self, net, **_):
        turns.ready(**task.about(net.module_, hyperparameters.batch_size, version=skorch.__version__))

    def on_batch_end(self, net, batch, training, **_):
        if training:
            turns.step(len(batch[1]))

    def on_epoch_end(self, net, **_):
        turns.epoch(lambda: task.accuracy(getattr(net.module_, "network", net.module_)))


class Matched(NeuralNetClassifier):
    def initialize_optimizer(self, *_, **__):
        self.optimizer_ = make_optimizer(self.module_, hyperparameters, CPU)
        return self


def share(step: int) -> float:
    return learning_rate_at(step, steps, hyperparameters) / hyperparameters.learning_rate


task, turns = begin()
hyperparameters = task.hyperparameters  # its default batch size is 128 as well
common = {"max_epochs": task.epochs, "criterion": nn.CrossEntropyLoss, "train_split": None, "device": "cpu"}
if task.variant == "own":
    images = Normalise(task.data.preprocessing)(task.data.train.images).contiguous().numpy()
    net = NeuralNetClassifier(
        task.network(),
        lr=0.002,
        optimizer=torch.optim.Adam,
        iterator_train__shuffle=True,
        callbacks=[Referee()],
        **common,
    )
    net.fit(images, task.data.train.labels.numpy())
else:
    passes = Passes(task.batches())
    steps = task.epochs * len(passes)
    net = Matched(
        Fed(task.network(), task),
        iterator_train=lambda *_, **__: DataLoader(passes, batch_size=None),
        classes=list(range(10)),
        callbacks=[LRScheduler(policy=LambdaLR, lr_lambda=share, step_every="batch"), Referee()],
        verbose=0,
        **common,
    )
    net.fit(passes, None)
