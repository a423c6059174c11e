"""The same image twice in a folder."""

from __future__ import annotations

import pytest

from workbench.data.duplicates import without_duplicates
from workbench.data.scan import File, Issues


def _file(name: str, label: str, split: str) -> File:
    return File(path=name, name=name, label=label, split=split)


@pytest.mark.parametrize(
    ("splits", "used"),
    [(("", "", ""), 0), (("training", "test", "training"), 1), (("training", "validation", "test"), 2)],
)
def test_a_copy_in_the_test_split_is_the_one_used(splits: tuple[str, str, str], used: int) -> None:
    files = tuple(_file(f"cat/{index}.png", "cat", split) for index, split in enumerate(splits))
    issues = Issues()
    use = without_duplicates(files, [b"same"] * 3, issues)
    assert [index for index in range(3) if use[index]] == [used]
    (note,) = issues.notes()
    assert f"(= cat/{used}.png)" in note


def test_an_image_in_two_classes_is_not_used_at_all() -> None:
    files = (_file("cat/1.png", "cat", ""), _file("dog/1.png", "dog", "test"), _file("dog/2.png", "dog", ""))
    issues = Issues()
    assert without_duplicates(files, [b"same", b"same", b"other"], issues).tolist() == [False, False, True]
    assert issues.notes() == ("The same image in two classes, so not used: cat/1.png = dog/1.png.",)


def test_what_is_no_image_is_not_used() -> None:
    files = (_file("cat/1.png", "cat", ""), _file("cat/2.png", "cat", ""))
    assert without_duplicates(files, [b"", b""], Issues()).tolist() == [False, False]
