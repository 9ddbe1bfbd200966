"""Deciding: what a batch means for the entities it touches. Pure: values in, values out."""
