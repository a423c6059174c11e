"""05-left: the network's share of a bundle's bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workbench.teaching.exercises.answers import check_guess, is_close, known_mistake, nearly, number_of, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet


def _check_left(answer: object) -> None:
    from workbench.folders import REFERENCE

    guess, measured = parts_of(answer, "guess", "measured")
    check_guess(guess, "a share", share=True)
    share = number_of(measured, "measured")
    sizes = {path.relative_to(REFERENCE).as_posix(): path.stat().st_size for path in _plain_files(REFERENCE)}
    network, total = sizes["model.onnx"], sum(sizes.values())
    if is_close(share, network / total, 1.5e-3):
        return
    if is_close(share, round(network / total, 2), 1e-9):
        raise NotYet("That is rounded too far: give at least three decimal places.")
    both = network + sizes["model-int8.onnx"]
    top = sum(size for name, size in sizes.items() if "/" not in name)
    folders = sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_dir())
    wrong = {
        "That is in percent: give the share itself, from 0 to 1.": 100 * network / total,
        "Upside down: divide the part by the whole.": total / network,
        "That is the network over all the rest: divide by the whole folder, including the network.": (
            network / (total - network)
        ),
        "Those are both networks together: the gate runs model.onnx alone.": both / total,
        "That is the int8 network: the question is about model.onnx.": sizes["model-int8.onnx"] / total,
        "That is weights.safetensors: nothing at the gate runs it, since it needs PyTorch.": (
            sizes["weights.safetensors"] / total
        ),
        "A file is missing from your total: `sizes` has what the manifest lists. Which one is not in it?": (
            network / (total - sizes["manifest.json"])
        ),
        "There is a folder in the folder: does your total include the self-test images?": (
            network / top,
            network / (top + folders),  # `iterdir` yields the inner folder as if it were a file
        ),
        "A file is missing from your total: the manifest. And does it include the self-test images?": (
            network / (top - sizes["manifest.json"])
        ),
        "Your total counts the folders themselves as if they were files: a file system keeps a few bytes for each.": (
            network / (total + folders)
        ),
    }
    otherwise = "Divide the bytes of model.onnx by those of all files in the folder, including its inner folder."
    raise NotYet(known_mistake(share, wrong, nearly(5e-4), otherwise=otherwise))


def _plain_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


EXERCISE = Exercise(
    id="05-left",
    title="How much of a bundle is the network?",
    kind="predict",
    level="warm-up",
    hints=(
        "A bundle is a folder of files, and every file has a size. Which of them does the gate run?",
        "`Path.stat().st_size` is a file's size in bytes, and `rglob` finds files in inner folders, too. `sizes` of a "
        "bundle has all the files that the manifest lists; there is one more beside them.",
        "Part: the size of model.onnx. Whole: the sizes of all files, including the manifest and the ten images but "
        "not the folder self_test itself. Divide the part by the whole.",
    ),
    learned="Less than half of a bundle is the network that answers; the rest verifies it, says what its answers mean, "
    "and allows further training.",
    check=_check_left,
)
