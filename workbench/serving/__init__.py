"""The production application: a bundle behind HTTP, in a program that has never heard of torch.

options.py      what a person may set, with safe defaults
network.py      a bundle at work: its session, proved by its own pictures
intake.py       what may come in: bodies, slots, slow clients
problems.py     what is answered where something is wrong (RFC 9457)
tensors.py      the Open Inference Protocol's requests and answers
classify.py     pictures in, labels out
metrics.py      what Prometheus is told
card.py         what a person is told of the network
app.py          the routes
worker.py       one process that answers
supervisor.py   the process that starts, watches, swaps and stops the workers
control.py      how `workbench swap` talks to it
page/           what a browser shows at /
"""
