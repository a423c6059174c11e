"""`train()` of the workbench. What it sets up before its first step counts: that happens once a step is asked for."""

from dataclasses import replace

from benchmarks.peers.turns import begin
from workbench.training import train

task, turns = begin()
model, hyperparameters = task.network(), task.hyperparameters
# Validation stands apart, as for everybody else.
data = replace(task.data, validation=task.data.validation.subset([]))
count, done = len(data.train), 0

turns.ready(**task.about(model, hyperparameters.batch_size))
for record in train(model, data, hyperparameters, device="cpu"):
    # Batches differ by one picture at most: of n steps, the first k have seen k / n of the pictures.
    steps, seen = record.step - done, [count * task.epochs * step // record.steps for step in (done, record.step)]
    done = record.step
    turns.step(seen[1] - seen[0], steps)
    if record.kind == "epoch":
        turns.epoch(lambda: task.accuracy(model))
