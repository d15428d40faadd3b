"""The local page: paint defects, review candidates, see a run's report.

May import every package but ``commands`` and ``cli``. ``server.serve`` opens a folder and answers
on this machine only; ``app.build_app`` is the same without a socket, for tests. What a browser
says is not trusted: it names numbers and ids of what was opened, never a path.
"""
