"""What can be said of a policy by reading it alone. Pure: no I/O, no clock, no randomness."""
