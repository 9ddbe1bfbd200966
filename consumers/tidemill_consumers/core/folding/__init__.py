"""One key's fold: what each arrival is, what is done about it, and what the entity is afterwards. Pure."""
