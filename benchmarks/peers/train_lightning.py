"""PyTorch Lightning. own: "Lightning in 15 minutes" with a classifier, a DataLoader of 64 and the Trainer's defaults.

matched: our batches, `precision="bf16-mixed"`, our optimizer, the schedule step by step; no logger, no checkpoints.
"""

import lightning
import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.peers.turns import CPU, Passes, Task, begin
from workbench.training.models import Normalise
from workbench.training.optimization import learning_rate_at, make_optimizer


class Own(lightning.LightningModule):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def training_step(self, batch, batch_index):
        images, labels = batch
        loss = nn.functional.cross_entropy(self.model(images), labels)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Matched(lightning.LightningModule):
    def __init__(self, model, task: Task, steps: int):
        super().__init__()
        self.model = model.to(memory_format=torch.channels_last)
        self.normalise = Normalise(task.data.preprocessing)
        self.hyperparameters, self.steps = task.hyperparameters, steps

    def training_step(self, batch, batch_index):
        images, labels = batch
        return nn.functional.cross_entropy(self.model(self.normalise(images)).float(), labels)

    def configure_optimizers(self):
        optimizer = make_optimizer(self.model, self.hyperparameters, CPU)

        def share(step: int) -> float:
            # Lightning calls it once more after the last step.
            return learning_rate_at(min(step, self.steps - 1), self.steps, self.hyperparameters) / (
                self.hyperparameters.learning_rate
            )

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, share)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Referee(lightning.Callback):
    def on_train_start(self, trainer, module):
        turns.ready(**task.about(module.model, batch_size, version=lightning.__version__))

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_index):
        turns.step(len(batch[1]))

    def on_train_epoch_end(self, trainer, module):
        turns.epoch(lambda: task.accuracy(module.model))


task, turns = begin()
common = {"max_epochs": task.epochs, "accelerator": "cpu", "callbacks": [Referee()]}
if task.variant == "own":
    batch_size = 64
    loader = DataLoader(task.images(), batch_size=batch_size, shuffle=True)
    lightning.Trainer(**common).fit(Own(task.network()), loader)
else:
    batch_size = task.hyperparameters.batch_size
    passes = Passes(task.batches())
    lean = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    precision = "bf16-mixed" if task.precision == "bf16" else "32-true"
    trainer = lightning.Trainer(**common, **lean, precision=precision)
    trainer.fit(Matched(task.network(), task, task.epochs * len(passes)), passes)
