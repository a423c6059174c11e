# Solutions of lesson 01. Do not hand out this folder together with the release of `workbench classroom build`.

# %% 01-memory
guess = 8
costs = [wb.cost_of(plain.replace(batch_size=size)) for size in (64, 512)]
factor = costs[1].training_bytes / costs[0].training_bytes

# %% 01-steps
import math


def gradient_steps(images, batch_size, epochs):
    return epochs * math.ceil(images / batch_size)


# %% 01-leak
import numpy as np


def mended_split(images, animals, share, seed):
    each = np.random.default_rng(seed).permutation(np.unique(animals))
    aside = np.isin(animals, each[: round(share * len(each))])
    train, validation = np.flatnonzero(~aside), np.flatnonzero(aside)
    return train, validation, images[train].mean(), images[train].std()


# %% 01-luck
from statistics import mean

start, moved = tried["base"], []
spread = max(start) - min(start)
for change, values in tried.items():
    apart = [after - before for after, before in zip(values, start, strict=True)]
    if abs(mean(apart)) > spread and min(apart) * max(apart) > 0:
        moved.append(change)

# %% 01-budget
choice = wb.HyperParameters(width=0.25, epochs=5, batch_size=32, learning_rate=0.1, flip=False, shift=1)
