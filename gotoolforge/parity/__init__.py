"""A developer's machine and a server agree on what changes how a Go program runs.

One POSIX script captures either (`capture`), a table says what each key means and how two values
compare (`keys`, `compare`), and a program can be run under what a snapshot says (`alike`).
"""
