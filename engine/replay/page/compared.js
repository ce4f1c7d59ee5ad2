// Charts of a comparison of two rule sets, and of a sweep over values.
