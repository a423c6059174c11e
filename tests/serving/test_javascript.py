"""Joining ES modules, on made-up files and on those that are shipped. That the results run, tests/browser shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import workbench
from workbench.serving.javascript import join_modules

PACKAGE = Path(workbench.__file__).parent
# What a browser is given: the application's page, and each widget.
ENTRIES = [PACKAGE / "serving" / "page" / "page.js"]
ENTRIES += [path for path in (PACKAGE / "widgets").glob("*.js") if "export default" in path.read_text("utf-8")]


def test_what_is_imported_comes_first_and_once(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "base.js").write_text("export const one = 1;\nconst hidden = 2;\n")
    (tmp_path / "middle.js").write_text(
        'import { one } from "./page/base.js";\n\nexport async function two() {\n  return one + one;\n}\n'
    )
    (tmp_path / "top.js").write_text(
        '// The top.\n\nimport { two } from "./middle.js";\nimport {\n  one,\n} from "./page/base.js";\n\n'
        "export default { render: () => one + two() };\n"
    )
    assert join_modules(tmp_path / "top.js") == (
        "const module0 = (() => {\nconst one = 1;\nconst hidden = 2;\nreturn { one };\n})();\n"
        "const module1 = (() => {\nconst { one } = module0;\n\nasync function two() {\n  return one + one;\n}\n"
        "return { two };\n})();\n"
        "// The top.\n\nconst { two } = module1;\nconst {\n  one,\n} = module0;\n\n"
        "export default { render: () => one + two() };\n"
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "top.js").write_text('import { one } from "./nowhere.js";\n')
    with pytest.raises(FileNotFoundError, match=r"nowhere\.js"):
        join_modules(tmp_path / "top.js")


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_nothing_is_left_to_import(path: Path) -> None:
    text = join_modules(path)
    assert not re.search(r"^(import\b|export (?!default))", text, re.MULTILINE)
    assert not re.search(r"\bimport\(|\bfrom \"", text)
