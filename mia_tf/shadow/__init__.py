"""The record of many shadow models, and what is fitted to it: everything that attacks stand on."""
