"""What measurements and the cost model say together: comparison, verdict, a trace hour by hour."""
