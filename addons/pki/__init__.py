"""Authorities, leaf certificates, bundles, and reasons to re-issue.

Pure but for `cryptography`: the clock, serial numbers and every other input are arguments, and
nothing here reads or writes a file.
"""
