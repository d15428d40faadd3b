"""What ``flawsmith doctor`` looks at: packages, machine, weights, folders, and a short self-test.

May import data, augment, train, inpaint and evaluate, inside of functions: it must answer where one
of their libraries is missing or broken. ``checkup.examine`` is the entry.
"""
