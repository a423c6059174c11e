"""Keras 3 on PyTorch. own: its example "Simple MNIST convnet": arrays in [0, 1], Adam, batches of 128.

matched: our batches, the policy `mixed_bfloat16`, SGD with our schedule; no metrics, no output. The layers and their
initial weights are those of Keras, their shapes those of the convnet.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from keras import layers
from torch.utils.data import DataLoader

from benchmarks.peers.turns import Passes, begin
from workbench.training.models import parameter_count
from workbench.training.optimization import learning_rate_at


def convnet(*first):
    blocks = []
    for units in (32, 64, 128):
        convolution = layers.Conv2D(units, 3, padding="same", use_bias=False)
        norm = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)  # the defaults of PyTorch, and so of the convnet
        blocks += [convolution, norm, layers.ReLU(), layers.MaxPooling2D(2)]
    head = [layers.GlobalAveragePooling2D(), layers.Dense(10, dtype="float32")]
    return keras.Sequential([keras.Input(task.data.shape), *first, *blocks, *head])


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, steps):
        rates = [learning_rate_at(step, steps, hyperparameters) for step in range(steps)]
        self.rates = torch.tensor([*rates, rates[-1]])

    def __call__(self, step):
        return self.rates[int(step)]


class Referee(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        count = sum(weight.value.numel() for weight in model.trainable_weights)
        assert count == parameter_count(task.network()), f"{count} weights are not those of the convnet"
        about = task.about(task.network(), hyperparameters.batch_size, version=keras.__version__)
        turns.ready(**about | {"parameters": count})

    def on_train_batch_end(self, batch, logs=None):
        # Keras reports a batch without its size; the last of an epoch may be smaller (own: 116 of 128).
        turns.step(sizes[batch])

    def on_epoch_end(self, epoch, logs=None):
        turns.epoch(self.accuracy)

    def accuracy(self):
        split = task.data.validation
        images = split.images.numpy().astype("float32") / scale
        answers = model.predict(images, batch_size=512, verbose=0).argmax(axis=1)
        return float((answers == split.labels.numpy()).mean())


task, turns = begin()
hyperparameters = task.hyperparameters
batch_size, count = hyperparameters.batch_size, len(task.data.train)
keras.utils.set_random_seed(task.seed)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
if task.variant == "own":
    scale = 255
    sizes = [min(batch_size, count - begin) for begin in range(0, count, batch_size)]
    model = convnet()
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
    images = task.data.train.images.numpy().astype("float32") / scale
    labels = task.data.train.labels.numpy()
    model.fit(images, labels, batch_size=batch_size, epochs=task.epochs, callbacks=[Referee()])
else:
    scale = 1
    if task.precision == "bf16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    passes = Passes(task.batches())
    sizes = [count * (step + 1) // len(passes) - count * step // len(passes) for step in range(len(passes))]
    mean, std = (255 * value[0] for value in (task.data.preprocessing.mean, task.data.preprocessing.std))
    model = convnet(layers.Rescaling(1 / std, offset=-mean / std))
    # Keras applies weight decay apart from the momentum, so it takes ten times the value for the same effect.
    optimizer = keras.optimizers.SGD(
        Schedule(task.epochs * len(passes)),
        momentum=hyperparameters.momentum,
        nesterov=True,
        weight_decay=hyperparameters.weight_decay / (1 - hyperparameters.momentum),
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(loss=loss, optimizer=optimizer)
    loader = DataLoader(passes, batch_size=None)
    model.fit(loader, epochs=task.epochs, callbacks=[Referee()], verbose=0)
