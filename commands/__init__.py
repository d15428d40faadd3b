"""The command line's commands, a module a group: parse, build the settings, call one function.

Imported by ``cli`` when called, not before; heavy imports stay inside the functions.
"""
