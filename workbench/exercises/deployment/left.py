"""05-left: how much of a bundle is the network that answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.exercises.answers import is_close, known_mistake, nearly, number_of, parts_of, refuse_guess
from workbench.exercises.exercise import Exercise, NotYet


def _check_left(answer: object) -> None:
    from workbench.recordings import REFERENCE

    guess, measured = parts_of(answer, "guess", "measured")
    refuse_guess(guess, "a share", share=True)
    share = number_of(measured, "measured")
    sizes = {path.relative_to(REFERENCE).as_posix(): path.stat().st_size for path in _plain_files(REFERENCE)}
    network, total = sizes["model.onnx"], sum(sizes.values())
    if is_close(share, network / total, 1.5e-3):
        return
    if is_close(share, round(network / total, 2), 1e-9):
        raise NotYet("That is rounded too far: give it to three digits after the point at least.")
    both = network + sizes["model-int8.onnx"]
    top = sum(size for name, size in sizes.items() if "/" not in name)
    folders = sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_dir())
    wrong = {
        "That is in percent: give the share itself, from 0 to 1.": 100 * network / total,
        "Upside down: divide the part by the whole.": total / network,
        "That is the network beside all the rest: divide by the whole folder, the network in it.": (
            network / (total - network)
        ),
        "Those are both networks together: the gate runs model.onnx alone.": both / total,
        "That is the network of 8 bits: the question is about model.onnx.": sizes["model-int8.onnx"] / total,
        "That is weights.safetensors: nothing at the gate runs it, it needs PyTorch.": (
            sizes["weights.safetensors"] / total
        ),
        "A file is missing from your whole: `sizes` has what the manifest lists. Which one is not in it?": (
            network / (total - sizes["manifest.json"])
        ),
        "The folder has a folder in it: are the pictures of the self-test in your whole?": (
            network / top,
            network / (top + folders),  # `iterdir` tells the inner folder as if it were a file
        ),
        "A file is missing from your whole: the manifest. And are the pictures of the self-test in it?": (
            network / (top - sizes["manifest.json"])
        ),
        "Your whole counts the folders themselves as if they were files: a file system keeps a few bytes for each.": (
            network / (total + folders)
        ),
    }
    raise NotYet(
        known_mistake(share, wrong, nearly(5e-4))
        or "Divide the bytes of model.onnx by those of all files of the folder, those of its inner folder too."
    )


def _plain_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


EXERCISE = Exercise(
    id="05-left",
    title="How much of a bundle is the network?",
    kind="predict",
    level="warm-up",
    hints=(
        "A bundle is a folder of files, and every file has a size. Which of them does the gate run?",
        "`Path.stat().st_size` tells a file's bytes, and `rglob` finds files in inner folders, too. `sizes` of a "
        "bundle that was read has all the files that the manifest lists; one more lies beside them.",
        "Part: the size of model.onnx. Whole: the sizes of all the files, the manifest and the ten pictures among "
        "them, the folder called self_test itself not. Divide the part by the whole.",
    ),
    learned="Less than half of a bundle is the network that answers; the rest proves it, tells what it means, and "
    "lets somebody learn on from it.",
    check=_check_left,
)
