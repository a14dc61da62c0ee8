"""The command line: one file per command, and what they share.

`main` finds and runs commands, `options` and `output` hold what every command takes and prints,
`probe` looks at servers. Commands return their exit code; only `main` turns errors into text.
"""
