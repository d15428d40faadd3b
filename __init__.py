"""flawsmith: synthetic defect data for visual inspection, judged before it is called useful."""

__version__ = "0.1.0"
