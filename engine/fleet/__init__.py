"""A server in several processes on one store: gateways, which talk to clients, and workers, which evaluate."""
