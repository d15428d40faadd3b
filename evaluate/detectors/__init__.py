"""Detectors that learn what clean parts look like, as judges of synthetic data.

May import ``flawsmith.data`` and ``flawsmith.train``. ``registry.open_detector`` makes one by name,
``registry.load_detector`` reads a saved one, ``base.Detector`` is what all of them can do.
"""
