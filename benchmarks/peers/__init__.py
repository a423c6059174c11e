"""Other ways to serve and to train the same network, as their own guides would have it.

Serving (benchmarks/serving.py): each is given the same decoding and fitting of pictures, and (but for PyTorch itself)
the same ONNX Runtime session, so that what differs is the server. Training (`train_*.py`, raced by
benchmarks/training.py and ablation.py): each is given the same pictures, the same validation and the same convnet.
"""
