"""Join ES modules into one: a widget is sent to the notebook as one text, and the page's scripts in one answer."""

from __future__ import annotations

import re
from pathlib import Path

_IMPORT = re.compile(r'^import (\{[^}]*\}) from "([^"]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default\b)((?:async )?(?:function|const|class) ([$\w]+))", re.MULTILINE)


def join_modules(path: Path) -> str:
    """Return the module `path` together with everything it imports, as one module.

    Imports are to be written as `import { name } from "./file.js"`, exports as `export` before a declaration.
    Raise OSError for a file that cannot be read.
    """
    names: dict[Path, str] = {}
    parts = []

    def read(file: Path) -> str:
        text = file.read_text(encoding="utf-8")
        for _, address in _IMPORT.findall(text):
            add((file.parent / address).resolve())
        return _IMPORT.sub(lambda found: f"const {found[1]} = {names[(file.parent / found[2]).resolve()]};", text)

    def add(file: Path) -> None:
        if file not in names:
            text = read(file)
            exported = ", ".join(name for _, name in _EXPORT.findall(text))
            names[file] = f"module{len(names)}"
            scope = _EXPORT.sub(r"\1", text)
            parts.append(f"const {names[file]} = (() => {{\n{scope}return {{ {exported} }};\n}})();\n")

    entry = read(path)
    return "".join(parts) + entry
