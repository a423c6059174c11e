"""`python -m workbench`: the `workbench` command from a checkout that is not installed."""

from workbench.cli import main

if __name__ == "__main__":  # worker processes import this module, too
    main()
