"""What is learned, one or two files per model: its message, view and read model, and how it is learned."""
