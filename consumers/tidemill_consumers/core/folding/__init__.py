"""The fold of one key's arrivals: each is classified and applied, and the entity's new state is made. Pure."""
