"""Networks and how they are trained: devices, weights, the frozen Lite0 that features come from.

May import ``flawsmith.data``. ``devices.pick_device`` picks where to run, ``backbone.lite0`` is the
network of features and discriminators, ``weights`` reads files of tensors.
"""
