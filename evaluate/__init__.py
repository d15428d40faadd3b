"""Judging: the certificate of each pair, distances to real images, and the report.

May import ``flawsmith.data`` and ``flawsmith.train``. ``certificate.check_pair`` judges one
candidate, ``distance.measure`` compares two folders, ``detect.judge`` asks detectors,
``report.write_report`` joins the sections that each judge contributes.
"""
