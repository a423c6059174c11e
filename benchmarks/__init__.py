"""Races against other ways to do the same: `python -m benchmarks NAME`. Nothing in the package imports this."""
