"""The numbers of a running server, for Prometheus."""
