"""Judging: the certificate of each pair, and the report.

May import ``flawsmith.data``. ``certificate.check_pair`` judges one candidate,
``report.write_report`` joins the sections that each judge contributes.
"""
