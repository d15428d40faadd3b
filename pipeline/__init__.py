"""The whole way: ``run`` joins all packages, a stage a module, each stage in a folder of its own.

May import data, augment, train, gen, inpaint and evaluate. ``run.run`` is the entry.
"""
