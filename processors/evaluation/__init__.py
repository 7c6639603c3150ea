"""How good: prequential, live, off-policy. Arrays in, figures out."""
