"""The sentence about a change of hyper-parameters."""

from __future__ import annotations

from workbench.hyperparameters import HyperParameters
from workbench.modelling.cost_change import describe_change
from workbench.modelling.epoch_times import count_network


def test_a_change_is_described_by_its_effects() -> None:
    plan = HyperParameters()
    convnet = count_network(plan)

    def describe(**changes: object) -> str:
        after = plan.replace(**changes)
        was, now = (convnet.cost(each, images=10_000) for each in (plan, after))
        return describe_change(plan, after, was, now)

    assert describe() == ""
    assert describe(batch_size=256) == (
        "Twice the batch size: 2.0× the bytes of training and 40 steps in an epoch instead of 79 (modelled)."
    )
    assert describe(epochs=3) == "Epochs 3 instead of 12: 0.25× the FLOPs of the whole run (modelled)."
    assert describe(learning_rate=0.2) == (
        "Half the learning rate: the cost stays the same. What the network learns changes: run it to see."
    )
    assert "has to be measured" in describe(compile=True)
    assert describe(seed=1, momentum=0.8, warmup=0.5, flip=False).startswith("4 hyper-parameters changed: ")
    half = count_network(plan.replace(width=0.5))
    was, now = half.cost(plan.replace(width=0.5), images=100), convnet.cost(plan, images=100)
    sentence = describe_change(plan.replace(width=0.5), plan, was, now)
    assert sentence.startswith("Twice the width: 3.8× the FLOPs, ")
    assert "the weights grow to 381\N{NO-BREAK SPACE}kB" in sentence
