"""`train()` of the workbench. Its set-up counts, because it happens only once the first step is requested."""

from dataclasses import replace

from benchmarks.peers.turns import begin
from workbench.training.loop import train

task, turns = begin()
model, hyperparameters = task.network(), task.hyperparameters
# Validation is not timed, as for all others.
data = replace(task.data, validation=task.data.validation.subset([]))
count, done = len(data.train), 0

turns.ready(**task.about(model, hyperparameters.batch_size))
for record in train(model, data, hyperparameters, device="cpu"):
    # Batch sizes differ by at most one image: the first k of n steps have seen k / n of the images.
    steps, seen = record.step - done, [count * task.epochs * step // record.steps for step in (done, record.step)]
    done = record.step
    turns.step(seen[1] - seen[0], steps)
    if record.kind == "epoch":
        turns.epoch(lambda: task.accuracy(model))
