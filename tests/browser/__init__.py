"""The load test's report as a browser shows it. Run by `make test-browser`."""
