"""Samples on disk: readers and writers, a file a format; statistics, splits, demo data, plates.

May import only the root modules. ``formats.read_dataset`` reads, ``build.build`` writes,
``scan.scan`` looks at every pixel once; ``jobs``, ``splitting`` and ``cropping`` are the commands'
entries.
"""
