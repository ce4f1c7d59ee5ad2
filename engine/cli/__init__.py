"""The command line: one file per command, with its arguments, its printing and its exit codes; nothing else."""
