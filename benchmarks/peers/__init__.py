"""Other ways to serve and to train the same network, each as its own documentation recommends.

Serving (benchmarks/serving.py): all decode and fit images alike and, except for PyTorch itself, run the same ONNX
Runtime session, so that only the server differs. Training (`train_*.py`, raced by benchmarks/training.py and
ablation.py): all have the same images, the same validation and the same convnet.
"""
