"""Widgets: views of what the rest of the package computes, and nothing that could not be computed without them."""
