"""Other ways to serve the same network, as their own guides would have it; benchmarks/serving.py races them.

Each is given the same decoding and fitting of pictures, and (but for PyTorch itself) the same ONNX Runtime session,
so that what differs is the server.
"""
