"""Whole parts from noise: DCGAN, WGAN-GP, StyleGAN2, FastGAN; plates assembled from parts.

May import ``flawsmith.data`` and ``flawsmith.train``. ``training.train_gen`` trains,
``sampler.load_sampler`` draws samples from a run, ``networks`` builds the networks by name.
"""
