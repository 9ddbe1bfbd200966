"""The ecosystem's own clients and emulators. Run by `make test-ecosystem`."""
