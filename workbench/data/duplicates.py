"""The same image twice in a folder: which copy is used, if any."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workbench.data.scan import NAMED, File, Issues


def without_duplicates(files: tuple[File, ...], digests: Sequence[bytes], issues: Issues) -> NDArray[np.bool_]:
    """Return which files to use, bool (N,), and add the others to the issues.

    digests: a hash of each file's pixels, empty where it is no image.

    Duplicates within a class are used once, in the test split if one of them is there, so that no test image is also
    learned. An image in two classes has no true label: none of its copies is used.
    """
    rank = {"test": 0, "validation": 1}
    copies: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest:
            copies[digest].append(index)
    use = np.array([bool(digest) for digest in digests])
    for indices in copies.values():
        if len({files[index].label for index in indices}) > 1:
            use[indices] = False
            names = [files[index].name for index in indices[:NAMED]]
            issues.add("The same image in two classes, so not used", " = ".join(names))
            continue
        first = min(indices, key=lambda index: (rank.get(files[index].split, 2), index))
        for index in indices:
            if index != first:
                use[index] = False
                issues.add("Copies used once", f"{files[index].name} (= {files[first].name})")
    return use
