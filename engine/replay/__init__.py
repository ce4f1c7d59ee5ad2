"""A log in, decisions out: readers (one file per format), the driver, verification, and the report."""
