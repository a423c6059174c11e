"""`python -m workbench`: the `workbench` command from a plain checkout, where nothing can be installed."""

from workbench.cli import main

main()
