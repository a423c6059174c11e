"""What a sealed file says of the packages it was made with. The seal itself: test_bundle.py and test_checkpoint.py."""

from importlib.metadata import version

from workbench.sealed import versions


def test_versions_are_those_installed_and_what_is_not_is_told_so():
    """The application starts from a checkout that was never installed, too, and says "unknown" of itself."""
    assert versions("numpy", "never-installed") == {
        "workbench": version("workbench"),
        "numpy": version("numpy"),
        "never-installed": "unknown",
    }
