"""The mask-conditioned GAN that paints defects into clean images: networks, losses, the hole.

May import ``flawsmith.data``, ``train`` and ``augment``. ``generators.build_generator`` paints,
``discriminators.build_discriminator`` judges, ``hole`` says which pixels may change.
"""
