"""Certificates as bytes: reading files, slicing out the key, describing, verifying paths.

Nothing third-party is imported before a function needs it.
"""
