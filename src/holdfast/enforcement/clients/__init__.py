"""What a client library needs beside a `PinningContext`, one file for each library that does.

A library that takes an `ssl.SSLContext` needs nothing from here: see `docs/clients/`.
"""
