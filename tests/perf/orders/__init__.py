"""The workload "orders": documents with text, lists and prices, keys that come once or often, clients that wait."""
