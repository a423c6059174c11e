"""fastai. own: its tutorial "Pure PyTorch to fastai": DataLoaders of 256, its Adam, `fit_one_cycle` at 1e-2.

matched: our batches, our optimizer in `OptimWrapper`, our schedule, bf16 inside the network (fastai's own `to_bf16`
enables autocast for CUDA only); no progress bar.
"""

import fastai
from fastai.vision.all import Adam, Callback, CancelValidException, DataLoaders, Learner, OptimWrapper, accuracy
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.peers.turns import CPU, Fed, Passes, begin
from workbench.training.optimization import learning_rate_at, make_optimizer


class Referee(Callback):
    def before_train(self):
        if self.epoch == 0:
            turns.ready(**task.about(self.model, batch_size, version=fastai.__version__))

    def after_batch(self):
        if self.training:
            turns.step(len(self.yb[0]))

    def before_validate(self):
        turns.epoch(lambda: task.accuracy(getattr(self.model, "network", self.model)))
        raise CancelValidException  # the referee has just measured the same


class Schedule(Callback):
    def before_batch(self):
        if self.training:
            step, steps = self.train_iter, self.n_epoch * self.n_iter
            self.opt.set_hyper("lr", learning_rate_at(step, steps, task.hyperparameters))


task, turns = begin()
loss = nn.CrossEntropyLoss()
if task.variant == "own":
    batch_size = 256
    loaders = DataLoaders(*[DataLoader(task.images(), batch_size=batch_size, shuffle=True)] * 2)
    learner = Learner(loaders, task.network(), loss_func=loss, opt_func=Adam, metrics=accuracy, cbs=[Referee()])
    learner.fit_one_cycle(task.epochs, 1e-2)
else:
    batch_size = task.hyperparameters.batch_size
    network = Fed(task.network(), task)
    loader = DataLoader(Passes(task.batches()), batch_size=None)
    learner = Learner(
        DataLoaders(loader, loader),
        network,
        loss_func=loss,
        opt_func=lambda *_, **__: OptimWrapper(opt=make_optimizer(network, task.hyperparameters, CPU)),
        cbs=[Schedule(), Referee()],
    )
    with learner.no_bar(), learner.no_logging():
        learner.fit(task.epochs)
