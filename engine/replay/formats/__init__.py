"""Logs of other makers to events: one file per format, and a table of them (`registry`)."""
