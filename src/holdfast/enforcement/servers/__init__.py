"""How an application behind a pinned server learns who was accepted, one file for each way.

A server that takes an `ssl.SSLContext` and shows the application its connections needs nothing from
here: see `docs/servers/`.
"""
