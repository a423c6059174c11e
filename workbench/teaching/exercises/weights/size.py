"""03-size: the bytes of a network's tensors."""

from __future__ import annotations

import operator

from workbench.teaching.exercises.answers import check_guess, is_close, known_mistake, number_of, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet


def _check_size(answer: object) -> None:
    guess, size = parts_of(answer, "guess", "size")
    check_guess(guess, "how many bytes")
    found, right = number_of(size, "size"), _resnet_bytes()
    if found == right:
        return
    if hint := known_mistake(found, _wrong_sizes(), operator.eq):
        raise NotYet(hint)
    if any(is_close(found * unit, right, 0.001) for unit in (1_000, 1_024, 1e6, 2**20)):
        raise NotYet("Right, but in a larger unit, or rounded: give the exact number of bytes.")
    if right < found < 1.1 * right:
        raise NotYet("A little more than the tensors hold: is that the size of a file, including its header?")
    if found < right:
        raise NotYet(f"The tensors hold more than {found:,.0f} bytes: add up those of every tensor in the state_dict.")
    raise NotYet(
        f"{found:,.0f} bytes are more than the tensors hold: is something counted twice, or not part of the network?"
    )


def _resnet_bytes() -> int:
    from workbench.training.models import build_model, state_bytes

    return state_bytes(build_model("resnet"))


def _wrong_sizes() -> dict[str, float]:
    from workbench.training.models import build_model, parameter_count, state_bytes

    network = build_model("resnet")
    tensors = network.state_dict().values()
    parameters, numbers = parameter_count(network), sum(tensor.numel() for tensor in tensors)
    return {
        "That is how many numbers the network learns. How many bytes does one of them take?": parameters,
        "That is how many numbers the tensors hold. How many bytes does one of them take?": numbers,
        "That is how many tensors there are: how many bytes does each hold?": len(tensors),
        "Those are the learned ones alone. A batch norm also keeps a mean and a variance that no gradient moves, and "
        "without them the answers change: they travel, too.": 4 * parameters,
        "Very close: you take every number for fp32. Look at the dtype of each tensor.": 4 * numbers,
        "Very close: all of fp32 is there, but some tensors have another dtype.": sum(
            tensor.nbytes for tensor in tensors if tensor.is_floating_point()
        ),
        "Those are bits: a byte has eight of them.": 8 * _resnet_bytes(),
        "That is half: two bytes a number are fp16 or bf16, and this network is stored in fp32.": 2 * numbers,
        "That is the convnet of the lesson; the question is about the resnet.": state_bytes(build_model("convnet")),
    }


EXERCISE = Exercise(
    id="03-size",
    title="How much is there to carry?",
    kind="predict",
    level="warm-up",
    hints=(
        "Lesson 03 does it for the convnet, under the heading “What is in it”, on its way to the bits per image.",
        "`network.state_dict()` holds all that travels; every tensor in it knows its own size, `nbytes`.",
        "Add up the `nbytes` of all values of the `state_dict`, including the counters of the batch norms.",
    ),
    learned="What travels is every tensor of the state_dict, learned or only counted, each with its own dtype.",
    check=_check_size,
)
