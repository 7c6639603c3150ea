"""From an opportunity to a decision, and from an impression to a charge."""
