"""Events in, items out, and the entity cache between. Pure."""
