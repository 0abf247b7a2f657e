"""One self-contained HTML page of an audit, to hand over with a model, and the same numbers as JSON."""
