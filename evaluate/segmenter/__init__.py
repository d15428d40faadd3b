"""The segmenter of the downstream check: a U-Net trained on real and synthetic samples alike.

May import ``flawsmith.data`` and ``flawsmith.train``. ``sources.arm_of`` says which samples an arm
of the comparison learns from, ``training.train_arm`` trains it in a run folder, and
``predict.load_predictor`` marks the defects of any picture with what came out.
"""
