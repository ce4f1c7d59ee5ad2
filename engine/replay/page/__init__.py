"""What dry runs found as one file that opens in a browser, offline: figures, charts and tables. It runs no rule."""
