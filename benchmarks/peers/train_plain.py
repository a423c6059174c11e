"""The plain PyTorch loop of a first tutorial: images one by one through a DataLoader, fp32, Adam at 1e-3."""

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.peers.turns import begin

task, turns = begin()
model = task.network()
loader = DataLoader(task.images(), batch_size=64, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_function = nn.CrossEntropyLoss()

turns.ready(**task.about(model, 64))
for _ in range(task.epochs):
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
        turns.step(len(labels))
    turns.epoch(lambda: task.accuracy(model))
