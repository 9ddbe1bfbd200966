"""An event source mapping's decisions. Pure: time, records and outcomes are arguments."""
