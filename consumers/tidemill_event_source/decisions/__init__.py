"""An event source mapping's decisions. Pure: time, records and responses are arguments."""
