"""Lambda's Runtime API from the side of the function: fetch an event, answer it, fetch the next."""
