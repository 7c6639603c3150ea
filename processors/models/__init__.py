"""What is learned: one file per model with its message, its state, its learner and its read model."""
