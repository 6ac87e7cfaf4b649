"""ELF files (and decoys) made by real compilers, each with a verdict known from how it was made.

`cases.CASES` is the table; `Corpus(folder).path(name)` makes a file, and those that it is made of.
"""
