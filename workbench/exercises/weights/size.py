"""03-size: how many bytes a network's tensors are."""

from __future__ import annotations

import operator

from workbench.exercises.answers import is_close, known_mistake, number_of, parts_of, refuse_guess
from workbench.exercises.exercise import Exercise, NotYet


def _check_size(answer: object) -> None:
    guess, size = parts_of(answer, "guess", "size")
    refuse_guess(guess, "how many bytes")
    found, right = number_of(size, "size"), _resnet_bytes()
    if found == right:
        return
    if words := known_mistake(found, _wrong_sizes(), operator.eq):
        raise NotYet(words)
    if any(is_close(found * unit, right, 0.001) for unit in (1_000, 1_024, 1e6, 2**20)):
        raise NotYet("Right, but in a larger unit, and rounded perhaps: give every single byte.")
    if right < found < 1.1 * right:
        raise NotYet("A little more than the tensors hold: is that a file, with the text it begins with?")
    if found < right:
        raise NotYet(f"The tensors hold more than {found:,.0f} bytes: ask every tensor of the state_dict for its own.")
    raise NotYet(
        f"{found:,.0f} bytes are more than the tensors hold: is something counted twice, or not of the network?"
    )


def _resnet_bytes() -> int:
    from workbench.models import build_model, state_bytes

    return state_bytes(build_model("resnet"))


def _wrong_sizes() -> dict[str, float]:
    from workbench.models import build_model, parameter_count, state_bytes

    network = build_model("resnet")
    tensors = network.state_dict().values()
    parameters, numbers = parameter_count(network), sum(tensor.numel() for tensor in tensors)
    return {
        "That is how many numbers the network learns. How much room does one of them take?": parameters,
        "That is how many numbers the tensors hold. How much room does one of them take?": numbers,
        "That is how many tensors there are: ask each how many bytes it holds.": len(tensors),
        "Those are the learned ones alone. A batch norm also keeps a mean and a spread that no gradient moves, and "
        "without them the answers are others: they travel, too.": 4 * parameters,
        "Very near: you take every number for fp32. Look at the dtype of each tensor.": 4 * numbers,
        "Very near: all of fp32 is there, and some tensors are of another dtype.": sum(
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
        "Lesson 03 does it for the convnet, below its heading “What is in it”, on its way to the bits a picture.",
        "`network.state_dict()` is the list of all that travels; every tensor in it knows its own size, `nbytes`.",
        "Add up the `nbytes` of all the values of the `state_dict`, the counters of the batch norms among them.",
    ),
    learned="What travels is every tensor of the state_dict, learned or only counted, each with its own dtype.",
    check=_check_size,
)
