"""The mask-conditioned GAN that paints defects into clean images.

May import ``flawsmith.data``, ``train`` and ``augment``. ``training.train_inpaint`` trains a run
with ``task.InpaintTask``: a generator (``generators``), a discriminator (``discriminators``) and an
encoder of looks. ``painter.load_painter`` paints with it; ``hole`` says which pixels may change.
"""
