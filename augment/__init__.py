"""Making labelled samples from real ones without training: classical, paste, procedural.

May import ``flawsmith.data``. ``job.augment`` is the entry; ``shapes``, ``region`` and ``blend``
also serve the generators that paint on clean surface.
"""
