"""One item: catalogue row, state, published view, and the index that every worker holds."""
