"""The filter: which candidates are worth training with, and why the others are not.

May import ``flawsmith.data`` and ``flawsmith.train``. ``filtering.sift`` gives a verdict on every
candidate, ``folds.fold_segmenters`` trains what its agreement step asks, ``gate.measure`` tells
whether training with what passed helps, ``job.filter_folder`` does it all for folders, and
``selection.random_subset`` draws the control that a filter must beat.
"""
