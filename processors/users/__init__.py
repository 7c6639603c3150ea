"""One user: the profile and its bounded parts."""
