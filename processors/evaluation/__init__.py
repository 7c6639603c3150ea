"""How good recommendations and policies are: prequential, live and off-policy evaluation. Arrays in, metrics out."""
