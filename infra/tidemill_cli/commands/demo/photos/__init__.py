"""The photos of `tidemill demo`: uploaded, replaced, deleted, and reconciled with what the stack made of them."""
