"""The command line: a file per command, with its arguments, printing and exit codes; nothing else."""
