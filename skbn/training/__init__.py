"""Training: epochs over any network, in Python, between blocks of mini-batches.

- ``batches``: which rows make a batch, and how many batches a block.
- ``schedules``: the learning rate from epoch to epoch.
- ``stopping``: when the loss no longer improves.
- ``epochs``: the loop.
"""
