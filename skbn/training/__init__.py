"""Training: epochs of any network. Python code runs between blocks of mini-batches.

- ``batches``: which rows make a batch, and how many batches make a block.
- ``schedules``: the learning rate from epoch to epoch.
- ``stopping``: when the loss no longer improves.
- ``epochs``: the loop.
"""
