"""One module for each command of `ratchet`: `run(options)` returns the exit code."""
