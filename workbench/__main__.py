"""`python -m workbench`: the `workbench` command from a plain checkout, where nothing can be installed."""

from workbench.cli import main

if __name__ == "__main__":  # a worker that is started anew imports this, too
    main()
