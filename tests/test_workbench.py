"""The package as a whole: its public names, and what importing it costs."""

import os
import subprocess
import sys
from pathlib import Path

import workbench as wb


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_public_name_is_there_and_says_what_it_is():
    assert wb.__all__ == sorted(wb.__all__) == dir(wb)
    for name in wb.__all__:
        assert getattr(wb, name) is not None
        if name != "__version__":
            assert getattr(wb, name).__doc__, name


def test_names_keep_their_meaning_whatever_was_imported_before():
    import workbench.modelling.cost
    import workbench.training.search

    assert wb.cost_of is workbench.modelling.cost.cost_of


def test_no_public_name_is_a_modules_too():
    """Importing workbench.NAME would put the module in the name's place."""
    modules = {path.stem for path in Path(wb.__file__).parent.glob("*.py")}
    assert modules & set(wb.__all__) == set()


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(wb, "trian")


def test_importing_the_package_loads_neither_torch_nor_matplotlib():
    loaded = run_python("import workbench, sys; print(*sys.modules)").split()
    assert "workbench" in loaded
    assert not {"torch", "matplotlib", "numpy", "onnxruntime"} & set(loaded)


def test_help_loads_nothing_that_works():
    loaded = run_python(
        "import sys; sys.argv = ['workbench', '--help']\n"
        "from workbench.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules)"
    ).split()
    assert "typer" in loaded
    assert not {"torch", "matplotlib", "numpy", "onnxruntime", "PIL"} & set(loaded)


def test_nothing_is_reported_to_anyone(tmp_path):
    """ONNX Runtime keeps an identifier where it tells its maker what it does; with CI set, it never would."""
    code = "import workbench as wb; wb.Predictor.from_bundle('datasets/devices/reference').self_test()"
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    for name in [name for name in kept if name.endswith("_ACTIONS") or name == "TF_BUILD"]:
        del kept[name]
    places = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent.parent, env=kept | places, check=True)
    assert list(tmp_path.rglob("*")) == []
