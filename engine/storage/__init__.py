"""Where the log, the states and the outbox are kept. Stores keep and hand out; they decide nothing."""
