"""Tests compute on one thread, and so do the commands that they start.

Sums in another order give other bytes: a run stopped in one process and resumed in another would
differ from an uninterrupted one. And two test processes of two threads each slow each other down.
"""

import os

# Before any test imports torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
