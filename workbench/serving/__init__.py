"""Serve a bundle over HTTP: the production application, which never imports PyTorch."""
